// The forward pass of some rows of one member over the whole sequence.
#pragma once

#include "memory.hpp"
#include "state.hpp"
#include "weights.hpp"

namespace ntm {

class Forward {
  public:
    static int64_t scratch_size(const Sizes& s, int64_t rows) {
        return rows * Running::size(s) + StepScratch::size(s);
    }

    Forward(const Sizes& s, const Timeline& timeline, const ForwardWeights& weights, const Group& group, real* scratch)
        : s(s), p(s.p), time(timeline), weights(weights), group(group), tape(s, group.member), rows(scratch),
          step_scratch(s, scratch + group.rows * Running::size(s)) {}

    void run() {
        for (int64_t r = 0; r < group.rows; r++) {
            make_home(tape, p.state, 0, leaves_of(r), group.first + r);
            if (p.reset) make_home(tape, p.fresh, 1, leaves_of(r), group.first + r);
            running(r).start(p.state, leaves_of(r));
        }
        for (int64_t t = 0; t < s.T; t++) step(t);
        for (int64_t r = 0; r < group.rows; r++) finish(r);
    }

  private:
    const Sizes& s;
    const Problem& p;
    const Timeline& time;
    const ForwardWeights& weights;
    const Group group;
    const Tape tape;
    real* rows;
    const StepScratch step_scratch;

    Running running(int64_t r) const { return {s, rows + r * Running::size(s)}; }
    Row leaves_of(int64_t r) const { return {s, group.member * s.B + group.first + r}; }
    bool runs(int64_t t, int64_t b) const { return t < time.end(b); }
    int64_t row(int64_t t, int64_t b) const { return (group.member * s.T + t) * s.B + b; }

    void step(int64_t t) {
        for (int64_t r = 0; r < group.rows; r++)
            if (time.resets(t, group.first + r)) running(r).start(p.fresh, leaves_of(r));
        for (int64_t layer = 0; layer < s.layers; layer++) control_layer(t, layer);
        const int8_t kind = s.kind_of(t);
        if (kind != HOLD) {
            const int64_t use = time.used(t);
            for (int64_t i = 0; i < s.maps; i++) {
                const Map map = s.map(i);
                multiply(group.rows, tape.hidden(use, group.first, map.layer), s.layers * s.padded_hidden,
                         weights.maps[i], weights.map_bias_[i], 0, tape.fields(use, group.first) + map.offset,
                         s.padded_interface);
            }
            for (int64_t r = 0; r < group.rows; r++)
                if (runs(t, group.first + r)) use_memory(t, r, kind);
        }
        for (int64_t r = 0; r < group.rows; r++) show(t, r);
    }

    void control_layer(int64_t t, int64_t layer) {
        const Controller c = s.controller(layer);
        for (int64_t r = 0; r < group.rows; r++) see(t, r, c, layer);
        multiply(group.rows, tape.seen(t, group.first, layer), c.padded_seen, weights.gates[layer],
                 weights.gates_bias[layer], 0, tape.gates(t, group.first, layer), c.gates);
        for (int64_t r = 0; r < group.rows; r++) {
            const int64_t b = group.first + r;
            const ControllerState state = running(r).state(layer);
            if (runs(t, b)) control(c, group.member, tape.gates(t, b, layer), tape.extra(t, b, layer), state);
            if (s.kind_of(t) != HOLD) copy(tape.hidden(time.used(t), b, layer), s.p.from_cell ? state.c : state.h, s.padded_hidden);
        }
    }

    // What a layer sees: [x; reads; h], or the output of the layer below in place of the first two.
    void see(int64_t t, int64_t r, const Controller& c, int64_t layer) {
        const int64_t b = group.first + r;
        real* seen = tape.seen(t, b, layer);
        if (!runs(t, b)) return fill(seen, c.padded_seen);
        if (layer) {
            copy(seen, running(r).state(layer - 1).h, s.hidden);
        } else {
            copy(seen, p.x + row(t, b) * p.input, p.input);
            copy(seen + p.input, running(r).reads(), s.fed_back);
        }
        copy(seen + c.inputs, running(r).state(layer).h, s.hidden);
        fill(seen + c.seen, c.padded_seen - c.seen);
    }

    void use_memory(int64_t t, int64_t r, int8_t kind) {
        const int64_t b = group.first + r;
        real* y = tape.fields(time.used(t), b);
        if (kind & READS)
            for (int64_t head = 0; head < s.reads; head++) activate(s, y, s.read_head(head));
        if (kind & WRITES)
            for (int64_t head = 0; head < s.writes; head++) activate(s, y, s.write_head(head));
        const Source wrote = time.last(WRITES, t, b), read = time.last(READS, t, b);
        const real *written = tape.write_weights_of(wrote, b), *read_before = tape.read_weights_of(read, b);
        MemoryRecord seen = tape.memory_of(wrote, b);
        const Turns turns = s.turns(kind);
        for (int64_t i = 0; i < turns.count; i++) {
            const Turn& turn = turns.turn[i];
            if (!turn.writes) {
                read_turn(s, turn, y, seen, read_before, tape.reading(time.read(t), b), running(r).reads(),
                          step_scratch);
                continue;
            }
            const int64_t number = time.written(t);
            const MemoryRecord after = tape.memory(number, b, turns.writes - turn.before - 1);
            write_turn(s, turn, y, mixing(), seen, written, tape.writing(number, b), after, step_scratch);
            seen = after;
        }
    }
    const real* mixing() const { return p.weight[MIXING] ? p.weight[MIXING] + 2 * group.member : nullptr; }

    // The outputs of a step, to the caller; zeros after a row's end.
    void show(int64_t t, int64_t r) {
        const int64_t b = group.first + r;
        real *output = p.output[CONTROLLER_OUTPUT] + row(t, b) * s.hidden,
             *reads = p.output[READ_VECTORS] + row(t, b) * s.read_size;
        if (!runs(t, b)) return fill(output, s.hidden), fill(reads, s.read_size);
        copy(output, running(r).state(s.layers - 1).h, s.hidden);
        copy(reads, running(r).reads(), s.read_size);
    }

    // The state after a row's last step, to the caller.
    void finish(int64_t r) {
        const int64_t b = group.first + r, N = s.padded_slots;
        const Row to = leaves_of(r);
        running(r).finish(p.final, to);
        const Source wrote = time.after(WRITES, s.T, b), read = time.after(READS, s.T, b);
        const MemoryRecord last = tape.memory_of(wrote, b);
        for (int64_t level = 0; level < s.levels; level++)
            narrow_memory(to.at(p.final, MEMORY) + level * s.slots * s.width, last.memory + level * s.matrix, s.slots,
                          s.width, N);
        unpad_rows(to.at(p.final, READ_WEIGHTS), tape.read_weights_of(read, b), s.reads, s.slots, N);
        unpad_rows(to.at(p.final, WRITE_WEIGHTS), tape.write_weights_of(wrote, b), s.written, s.slots, N);
    }
};

}  // namespace ntm
