// The backward pass of some rows of one member over the whole sequence, last step first.
#pragma once

#include "forward.hpp"

namespace ntm {

class Backward {
  public:
    // What a group finds besides: ten vectors of each layer (gains and shifts of layer normalisation), then a and b.
    static int64_t found_size(const Sizes& s) { return 10 * s.layers * s.padded_hidden + padding; }
    static int64_t scratch_size(const Sizes& s, int64_t rows) {
        return rows * per_row(s) + s.padded_hidden + StepScratch::size(s);
    }

    // `kept` is filled for the weight gradients, `found` added to.
    Backward(const Sizes& s, const Timeline& timeline, const BackwardWeights& weights, const Group& group,
             const Kept& kept, real* found, real* scratch)
        : s(s), p(s.p), time(timeline), weights(weights), group(group), tape(s, group.member), kept(kept), found(found),
          d_hidden(scratch), d_seen(d_hidden + group.rows * s.layers * s.padded_hidden),
          rows(d_seen + group.rows * BackwardWeights::most_columns(s)),
          carries(rows + group.rows * Running::size(s)), one(carries + group.rows * Carry::size(s)),
          step_scratch(s, one + s.padded_hidden) {}

    void run() {
        for (int64_t r = 0; r < group.rows; r++) begin(r);
        for (int64_t t = s.T - 1; t >= 0; t--) step(t);
        for (int64_t r = 0; r < group.rows; r++) hand_over(r, p.d_state);
    }

  private:
    const Sizes& s;
    const Problem& p;
    const Timeline& time;
    const BackwardWeights& weights;
    const Group group;
    const Tape tape;
    const Kept& kept;
    real *found, *d_hidden, *d_seen, *rows, *carries, *one;
    const StepScratch step_scratch;

    static int64_t per_row(const Sizes& s) {
        return s.layers * s.padded_hidden + BackwardWeights::most_columns(s) + Running::size(s) + Carry::size(s);
    }
    Running running(int64_t r) const { return {s, rows + r * Running::size(s)}; }
    Carry carry(int64_t r) const { return {s, carries + r * Carry::size(s)}; }
    Row leaves_of(int64_t r) const { return {s, group.member * s.B + group.first + r}; }
    bool runs(int64_t t, int64_t b) const { return t < time.end(b); }
    int64_t row(int64_t t, int64_t b) const { return (group.member * s.T + t) * s.B + b; }
    real* d_output(int64_t r, int64_t layer) const { return d_hidden + (r * s.layers + layer) * s.padded_hidden; }
    real* d_interface(int64_t use, int64_t b) const {
        return kept.d_interface + (use * s.B + b) * s.padded_interface;
    }

    // Start from the gradient of the final state.
    void begin(int64_t r) {
        const Row from = leaves_of(r);
        const Carry c = carry(r);
        running(r).start(p.d_final, from);
        widen_levels(s, c.memory, from.at(p.d_final, MEMORY));
        pad_rows(c.read, from.at(p.d_final, READ_WEIGHTS), s.reads, s.slots, s.padded_slots);
        pad_rows(c.write, from.at(p.d_final, WRITE_WEIGHTS), s.written, s.slots, s.padded_slots);
    }

    // Add the gradient of a row's state to that of where it came from, and start from zero.
    void hand_over(int64_t r, real* const* leaves_) {
        const Row to = leaves_of(r);
        const Carry c = carry(r);
        running(r).add(leaves_, to);
        if (real* memory = to.at(leaves_, MEMORY))
            for (int64_t level = 0; level < s.levels; level++)
                add_narrowed(memory + level * s.slots * s.width, c.memory + level * s.matrix, s.slots, s.width,
                             s.padded_slots);
        add_unpadded(to.at(leaves_, READ_WEIGHTS), c.read, s.reads, s.slots, s.padded_slots);
        add_unpadded(to.at(leaves_, WRITE_WEIGHTS), c.write, s.written, s.slots, s.padded_slots);
        fill(running(r).at, Running::size(s));
        fill(c.memory, Carry::size(s));
    }

    void step(int64_t t) {
        const int8_t kind = s.kind_of(t);
        const int64_t use = time.used(t);
        for (int64_t r = 0; r < group.rows; r++) {
            const int64_t b = group.first + r;
            const bool run = runs(t, b);
            const real *d_top = p.d_output[CONTROLLER_OUTPUT], *d_reads = p.d_output[READ_VECTORS];
            fill(d_output(r, 0), s.layers * s.padded_hidden);
            if (run && d_top) copy(d_output(r, s.layers - 1), d_top + row(t, b) * s.hidden, s.hidden);
            if (run && d_reads) add_to(running(r).reads(), d_reads + row(t, b) * s.read_size, s.read_size);
            if (kind == HOLD) continue;
            fill(d_interface(use, b), s.padded_interface);
            if (run) use_memory(t, r, kind);
        }
        for (int64_t i = 0; kind != HOLD && i < s.maps; i++) {
            const Map map = s.map(i);
            real* to = p.from_cell ? running(0).state(map.layer).c : d_output(0, map.layer);
            const int64_t stride = p.from_cell ? Running::size(s) : s.layers * s.padded_hidden;
            multiply(group.rows, d_interface(use, group.first) + map.offset, s.padded_interface, weights.maps[i], to,
                     stride, to, stride);
        }
        for (int64_t layer = s.layers - 1; layer >= 0; layer--) control_layer(t, layer);
        for (int64_t r = 0; r < group.rows; r++)
            if (time.resets(t, group.first + r)) hand_over(r, p.d_fresh);
    }

    void control_layer(int64_t t, int64_t layer) {
        const Controller c = s.controller(layer);
        const int64_t columns = BackwardWeights::columns(s, layer);
        real* norms = found + 10 * layer * s.padded_hidden;
        for (int64_t r = 0; r < group.rows; r++) {
            const int64_t b = group.first + r;
            real* d_gates = kept.d_gates[layer] + (t * s.B + b) * c.gates;
            if (!runs(t, b)) {
                fill(d_gates, c.gates);
                continue;
            }
            const ControllerState d = running(r).state(layer);
            add_to(d.h, d_output(r, layer), s.padded_hidden);
            control_backward(c, group.member, tape.gates(t, b, layer), tape.extra(t, b, layer), d, d_gates, norms, one);
        }
        multiply(group.rows, kept.d_gates[layer] + (t * s.B + group.first) * c.gates, c.gates, weights.gates[layer],
                 weights.zeros, 0, d_seen, columns);
        for (int64_t r = 0; r < group.rows; r++) see(t, r, c, layer, d_seen + r * columns);
    }

    // The gradient of what a layer saw goes to the input and the reads, or to the layer below, and to h.
    void see(int64_t t, int64_t r, const Controller& c, int64_t layer, const real* d) {
        const int64_t b = group.first + r, first = BackwardWeights::first_seen(s, layer);
        if (!runs(t, b)) {
            if (!layer && p.d_x) fill(p.d_x + row(t, b) * p.input, p.input);
            return;
        }
        if (layer) {
            add_to(d_output(r, layer - 1), d, s.hidden);
        } else {
            if (p.d_x) copy(p.d_x + row(t, b) * p.input, d, p.input);
            add_to(running(r).reads(), d + p.input - first, s.fed_back);
        }
        add_to(running(r).state(layer).h, d + c.inputs - first, s.hidden);
    }

    void use_memory(int64_t t, int64_t r, int8_t kind) {
        const int64_t b = group.first + r, use = time.used(t), number = time.written(t);
        const real* y = tape.fields(use, b);
        real* d = d_interface(use, b);
        const Source wrote = time.last(WRITES, t, b), read = time.last(READS, t, b);
        const real *written = tape.write_weights_of(wrote, b), *read_before = tape.read_weights_of(read, b);
        const Turns turns = s.turns(kind);
        // the memory after so many of the step's writes
        auto memory = [&](int64_t writes) {
            return writes ? tape.memory(number, b, turns.writes - writes) : tape.memory_of(wrote, b);
        };
        for (int64_t i = turns.count - 1; i >= 0; i--) {
            const Turn& turn = turns.turn[i];
            if (turn.writes)
                write_turn_backward(s, turn, y, mixing(), memory(turn.before), written, tape.writing(number, b),
                                    memory(turn.before + 1), d, carry(r), found + 10 * s.layers * s.padded_hidden,
                                    step_scratch);
            else
                read_turn_backward(s, turn, y, memory(turn.before), read_before, tape.reading(time.read(t), b),
                                   running(r).reads(), d, carry(r), step_scratch);
        }
        if (kind & READS) {
            fill(running(r).reads(), s.padded_reads);
            for (int64_t head = 0; head < s.reads; head++) activate_backward(s, y, s.read_head(head), d);
        }
        if (kind & WRITES)
            for (int64_t head = 0; head < s.writes; head++) activate_backward(s, y, s.write_head(head), d);
    }
    const real* mixing() const { return p.weight[MIXING] ? p.weight[MIXING] + 2 * group.member : nullptr; }
};

}  // namespace ntm
