// The forward pass of some rows of one member over the whole sequence.
#pragma once

#include "memory.hpp"
#include "state.hpp"
#include "weights.hpp"

namespace dnc {

class Forward {
  public:
    static int64_t scratch_size(const Sizes& s, int64_t rows) {
        return rows * per_row(s) + StepScratch::size(s);
    }

    Forward(const Sizes& s, const Timeline& timeline, const ForwardWeights& weights, const Group& group, real* scratch)
        : s(s), p(s.p), time(timeline), weights(weights), group(group), tape(s, group.member), rows(scratch),
          step_scratch(s, scratch + group.rows * per_row(s)) {}

    void run() {
        for (int64_t r = 0; r < group.rows; r++) {
            const int64_t b = group.first + r;
            make_home(tape, p.state, 0, group.member, b);
            if (p.reset) make_home(tape, p.fresh, 1, group.member, b);
            start(r, 0);
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
    StepScratch step_scratch;

    static int64_t per_row(const Sizes& s) {
        return 2 * s.padded_hidden + s.padded_reads + s.blocks * (s.memory + s.link + s.padded_reads);
    }
    ControllerState state(int64_t r) const {
        real* at = rows + r * per_row(s);
        return {at, at + s.padded_hidden};
    }
    real* reads(int64_t r) const { return rows + r * per_row(s) + 2 * s.padded_hidden; }
    real* memory(int64_t r, int64_t block) const {
        return reads(r) + s.padded_reads + block * (s.memory + s.link + s.padded_reads);
    }
    bool runs(int64_t t, int64_t b) const { return t < time.end(b); }
    int64_t row(int64_t t, int64_t b) const { return (group.member * s.T + t) * s.B + b; }

    void start(int64_t r, int64_t fresh) {
        const int64_t b = group.first + r;
        start_controller(s, fresh ? p.fresh : p.state, group.member * s.B + b, state(r), reads(r));
        for (int64_t block = 0; block < s.blocks; block++)
            copy(memory(r, block), tape.home_memory(fresh, b, block), s.memory + s.link);
    }

    void step(int64_t t) {
        for (int64_t r = 0; r < group.rows; r++) see(t, r);
        multiply(group.rows, tape.seen(t, group.first), s.controller.padded_seen, weights.gates, weights.gates_bias, 0,
                 tape.gates(t, group.first), s.controller.gates);
        for (int64_t r = 0; r < group.rows; r++) {
            const int64_t b = group.first + r;
            if (runs(t, b)) control(s.controller, group.member, tape.gates(t, b), tape.extra(t, b), state(r));
            show(t, r);
        }
        const int8_t kind = s.kind_of(t);
        if (kind != HOLD) {
            const int64_t use = time.used(t);
            multiply(group.rows, tape.output(use, group.first), s.padded_hidden, weights.interface,
                     weights.interface_bias, 0, tape.fields(use, group.first), s.padded_interface);
            for (int64_t r = 0; r < group.rows; r++)
                if (runs(t, group.first + r)) use_memory(t, r, kind);
        }
        for (int64_t r = 0; r < group.rows; r++) {
            const int64_t b = group.first + r;
            real* to = p.output[READ_VECTORS] + row(t, b) * s.read_size;
            if (runs(t, b)) copy(to, reads(r), s.read_size);
            else fill(to, s.read_size);
        }
    }

    // What the controller sees: [x; reads; h], zeros behind a row's end.
    void see(int64_t t, int64_t r) {
        const int64_t b = group.first + r;
        real* seen = tape.seen(t, b);
        if (time.resets(t, b)) start(r, 1);
        if (!runs(t, b)) return fill(seen, s.controller.padded_seen);
        copy(seen, p.x + row(t, b) * p.input, p.input);
        copy(seen + p.input, reads(r), s.fed_back);
        copy(seen + p.input + s.fed_back, state(r).h, s.hidden);
        fill(seen + s.controller.seen, s.controller.padded_seen - s.controller.seen);
    }

    // The controller's output, layer-normalised if asked for: to the caller and to the interface.
    void show(int64_t t, int64_t r) {
        const int64_t b = group.first + r, H = s.padded_hidden;
        real *to = p.output[CONTROLLER_OUTPUT] + row(t, b) * s.hidden, *normalised = tape.norm(t, b);
        real* used = s.kind_of(t) != HOLD ? tape.output(time.used(t), b) : nullptr;
        if (!runs(t, b)) {
            fill(to, s.hidden);
            if (used) fill(used, H);
            return;
        }
        const real* shown = state(r).h;
        if (p.output_norm) {
            const real *gain = p.weight[NORM_GAIN] + group.member * s.hidden,
                       *shift = p.weight[NORM_SHIFT] + group.member * s.hidden;
            copy(normalised, shown, H);
            normalised[H] = normalise(normalised, s.hidden, H, p.output_norm_epsilon);
            for (int64_t j = 0; j < s.hidden; j++) to[j] = normalised[j] * gain[j] + shift[j];
        } else {
            copy(to, shown, s.hidden);
        }
        if (used) pad_rows(used, to, 1, s.hidden, H);
    }

    void use_memory(int64_t t, int64_t r, int8_t kind) {
        const int64_t b = group.first + r, use = time.used(t);
        real *fields = tape.fields(use, b), *gates = fields + s.blocks * s.fields.size;
        if (p.clip_interface > 0) {
            copy(tape.raw(use, b), fields, s.padded_interface);
            map(fields, s.padded_interface, [this](vec z) { return clamped(z, p.clip_interface); });
        }
        for (int64_t block = 0; block < s.blocks; block++) {
            activate(s, fields + block * s.fields.size);
            use_block(t, r, kind, block, fields + block * s.fields.size);
        }
        if (!p.gated || !(kind & READS)) return;
        fill(reads(r), s.read_size);
        for (int64_t head = 0; head < s.heads; head++) {
            small_softmax(gates + head, s.blocks, s.heads);
            for (int64_t block = 0; block < s.blocks; block++) {
                const real* from = tape.block_reads(time.read(t), b, block) + head * s.width;
                real* to = reads(r) + head * s.width;
                for (int64_t w = 0; w < s.width; w++) to[w] += gates[block * s.heads + head] * from[w];
            }
        }
    }

    void use_block(int64_t t, int64_t r, int8_t kind, int64_t block, const real* y) {
        const int64_t b = group.first + r, number = time.written(t);
        const Source wrote = time.last(WRITES, t, b), read = time.last(READS, t, b);
        const WriteRecord before =
            wrote.number < 0 ? tape.home_write(wrote.fresh, b, block) : tape.write(wrote.number, b, block);
        const real* read_before =
            read.number < 0 ? tape.home_read_weights(read.fresh, b, block) : tape.read(read.number, b, block).weights;
        real *M = memory(r, block), *L = M + s.memory;
        const bool writes = kind & WRITES, reads_too = kind & READS;
        const WriteRecord now = writes ? tape.write(number, b, block) : before;
        if (writes) {
            if (p.keep && number % p.interval == 0) copy(tape.snapshot(number / p.interval, b, block), M, s.memory + s.link);
            write_forward(s, y, before, read_before, M, L, reads_too, now, step_scratch);
        }
        if (reads_too) {
            real* to = p.gated ? tape.block_reads(time.read(t), b, block) : reads(r);
            read_forward(s, y, now, writes ? before.precedence : nullptr, read_before, M, L,
                         tape.read(time.read(t), b, block), to, step_scratch);
        }
    }

    // The state after a row's last step, to the caller.
    void finish(int64_t r) {
        const int64_t b = group.first + r;
        const Row at{s, group.member * s.B + b};
        copy(at.at(p.final, H), state(r).h, s.hidden);
        if (p.final[C]) copy(at.at(p.final, C), state(r).c, s.hidden);
        copy(at.at(p.final, LAST_READS), reads(r), s.read_size);
        const Source wrote = time.after(WRITES, s.T, b), read = time.after(READS, s.T, b);
        for (int64_t block = 0; block < s.blocks; block++) {
            const WriteRecord last =
                wrote.number < 0 ? tape.home_write(wrote.fresh, b, block) : tape.write(wrote.number, b, block);
            const real* weights = read.number < 0 ? tape.home_read_weights(read.fresh, b, block)
                                                  : tape.read(read.number, b, block).weights;
            narrow_memory(at.at(p.final, MEMORY, block), memory(r, block), s.slots, s.width, s.padded_slots);
            copy(at.at(p.final, USAGE, block), last.usage, s.slots);
            copy(at.at(p.final, WRITE_WEIGHTS, block), last.weights, s.slots);
            unpad_rows(at.at(p.final, READ_WEIGHTS, block), weights, s.heads, s.slots, s.padded_slots);
            if (!p.links) continue;
            copy(at.at(p.final, PRECEDENCE, block), last.precedence, s.slots);
            unpad_rows(at.at(p.final, LINK, block), memory(r, block) + s.memory, s.slots, s.slots, s.padded_slots);
        }
    }
};

}  // namespace dnc
