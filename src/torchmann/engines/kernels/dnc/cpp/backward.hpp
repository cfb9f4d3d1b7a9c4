// The backward pass of some rows of one member over the whole sequence, last step first.
#pragma once

#include "forward.hpp"

namespace dnc {

// Memory and links after each write of one interval, made anew from the snapshot before it.
class Replay {
  public:
    static int64_t size(const Sizes& s, int64_t rows) { return rows * s.blocks * s.p.interval * (s.memory + s.link); }

    Replay(const Tape& tape, const Timeline& time, const int64_t* step_of_write, const Group& group, real* at)
        : s(tape.s), tape(tape), time(time), step_of_write(step_of_write), group(group), states(at) {}

    // Make ready what write `number` needs and leaves.
    void ready(int64_t number) {
        if (number < 0 || number / s.p.interval == loaded) return;
        loaded = number / s.p.interval;
        const int64_t begin = loaded * s.p.interval, end = std::min(s.written, begin + s.p.interval);
        for (int64_t j = begin; j < end; j++)
            for (int64_t r = 0; r < group.rows; r++) {
                const int64_t b = group.first + r;
                if (step_of_write[j] >= time.end(b)) continue;
                for (int64_t block = 0; block < s.blocks; block++) write(j, b, block);
            }
    }

    // Memory and then links before write `number`, made at step t; and after it.
    const real* before(int64_t number, int64_t t, int64_t b, int64_t block) const {
        if (number % s.p.interval == 0) return tape.snapshot(number / s.p.interval, b, block);
        return after(time.last(WRITES, t, b), b, block);
    }
    const real* after(const Source& wrote, int64_t b, int64_t block) const {
        return wrote.number < 0 ? tape.home_memory(wrote.fresh, b, block) : state(wrote.number, b, block);
    }

  private:
    const Sizes& s;
    const Tape& tape;
    const Timeline& time;
    const int64_t* step_of_write;
    const Group group;
    real* states;
    int64_t loaded = -1;

    real* state(int64_t number, int64_t b, int64_t block) const {
        const int64_t place = (number % s.p.interval * group.rows + b - group.first) * s.blocks + block;
        return states + place * (s.memory + s.link);
    }

    void write(int64_t number, int64_t b, int64_t block) const {
        const int64_t t = step_of_write[number], N = s.padded_slots;
        const real *from = before(number, t, b, block), *y = tape.fields(time.used(t), b) + block * s.fields.size;
        const Source wrote = time.last(WRITES, t, b);
        const WriteRecord then =
            wrote.number < 0 ? tape.home_write(wrote.fresh, b, block) : tape.write(wrote.number, b, block);
        const real* weights = tape.write(number, b, block).weights;
        real* to = state(number, b, block);
        erase_and_add(from, weights, y + s.fields.erase, y + s.fields.write_vector, s.width, N, to);
        if (s.p.links) extend_links(from + s.memory, weights, then.precedence, N, to + s.memory);
    }
};

class Backward {
  public:
    static int64_t norms_size(const Sizes& s) { return 12 * s.padded_hidden; }
    static int64_t scratch_size(const Sizes& s, int64_t rows) {
        return rows * per_row(s) + 2 * s.padded_hidden + StepScratch::size(s) + Replay::size(s, rows);
    }

    // d_gates [T, B, gates] and d_interface [used, B, padded_interface] are filled for the weight gradients;
    // d_norms [12, padded_hidden] (gains and shifts: five each of a layer-norm LSTM, one of the output) are added to.
    Backward(const Sizes& s, const Timeline& time, const int64_t* step_of_write, const BackwardWeights& weights,
             const Group& group, real* d_gates, real* d_interface, real* d_norms, real* scratch)
        : s(s), p(s.p), time(time), weights(weights), group(group), tape(s, group.member), d_gates_(d_gates),
          d_interface_(d_interface), d_norms(d_norms), d_output(scratch), d_state(d_output + group.rows * s.padded_hidden),
          d_seen(d_state + group.rows * (2 * s.padded_hidden + s.padded_reads)),
          carries(d_seen + group.rows * BackwardWeights::columns(s)),
          d_block_reads(carries + group.rows * s.blocks * Carry::size(s)),
          one(scratch + group.rows * per_row(s)), step_scratch(s, one + 2 * s.padded_hidden),
          replay(tape, time, step_of_write, group, one + 2 * s.padded_hidden + StepScratch::size(s)) {}

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
    real *d_gates_, *d_interface_, *d_norms;
    real *d_output, *d_state, *d_seen, *carries, *d_block_reads, *one;
    StepScratch step_scratch;
    Replay replay;

    static int64_t per_row(const Sizes& s) {
        return 3 * s.padded_hidden + s.padded_reads + BackwardWeights::columns(s) + s.blocks * Carry::size(s) +
               s.padded_reads;
    }
    ControllerState state(int64_t r) const {
        real* at = d_state + r * (2 * s.padded_hidden + s.padded_reads);
        return {at, at + s.padded_hidden};
    }
    real* reads(int64_t r) const { return state(r).c + s.padded_hidden; }
    Carry carry(int64_t r, int64_t block) const { return {s, carries + (r * s.blocks + block) * Carry::size(s)}; }
    bool runs(int64_t t, int64_t b) const { return t < time.end(b); }
    int64_t row(int64_t t, int64_t b) const { return (group.member * s.T + t) * s.B + b; }
    real* d_gates(int64_t t, int64_t b) const { return d_gates_ + (t * s.B + b) * s.controller.gates; }
    real* d_interface(int64_t use, int64_t b) const { return d_interface_ + (use * s.B + b) * s.padded_interface; }

    // Start from the gradient of the final state.
    void begin(int64_t r) {
        const Row at{s, group.member * s.B + group.first + r};
        const int64_t N = s.padded_slots;
        start_controller(s, p.d_final, at.row, state(r), reads(r));
        for (int64_t block = 0; block < s.blocks; block++) {
            const Carry c = carry(r, block);
            widen_memory(c.memory, at.at(p.d_final, MEMORY, block), s.slots, s.width, N);
            widen_link(s, c.link, at.at(p.d_final, LINK, block));
            pad_rows(c.usage, at.at(p.d_final, USAGE, block), 1, s.slots, N);
            pad_rows(c.write, at.at(p.d_final, WRITE_WEIGHTS, block), 1, s.slots, N);
            pad_rows(c.precedence, at.at(p.d_final, PRECEDENCE, block), 1, s.slots, N);
            pad_rows(c.read, at.at(p.d_final, READ_WEIGHTS, block), s.heads, s.slots, N);
        }
    }

    // Add the gradient of a row's state to that of where it came from, and start from zero.
    void hand_over(int64_t r, real* const* to) {
        const Row at{s, group.member * s.B + group.first + r};
        add_unpadded(at.at(to, H), state(r).h, 1, s.hidden, s.padded_hidden);
        add_unpadded(at.at(to, C), state(r).c, 1, s.hidden, s.padded_hidden);
        add_unpadded(at.at(to, LAST_READS), reads(r), 1, s.read_size, s.padded_reads);
        fill(state(r).h, 2 * s.padded_hidden + s.padded_reads);
        for (int64_t block = 0; block < s.blocks; block++) {
            const Carry c = carry(r, block);
            add_narrowed(at.at(to, MEMORY, block), c.memory, s.slots, s.width, s.padded_slots);
            add_unpadded(at.at(to, LINK, block), c.link, s.slots, s.slots, s.padded_slots);
            add_unpadded(at.at(to, USAGE, block), c.usage, 1, s.slots, s.padded_slots);
            add_unpadded(at.at(to, WRITE_WEIGHTS, block), c.write, 1, s.slots, s.padded_slots);
            add_unpadded(at.at(to, PRECEDENCE, block), c.precedence, 1, s.slots, s.padded_slots);
            add_unpadded(at.at(to, READ_WEIGHTS, block), c.read, s.heads, s.slots, s.padded_slots);
            fill(c.memory, Carry::size(s));
        }
    }

    void step(int64_t t) {
        const int8_t kind = s.kind_of(t);
        const int64_t use = time.used(t), columns = BackwardWeights::columns(s);
        if (kind & WRITES) replay.ready(time.written(t));
        else if (kind & READS) replay.ready(time.written(t) - 1);
        for (int64_t r = 0; r < group.rows; r++) {
            const int64_t b = group.first + r;
            const bool run = runs(t, b);
            const real *d_shown = p.d_output[CONTROLLER_OUTPUT], *d_read = p.d_output[READ_VECTORS];
            pad_rows(d_output + r * s.padded_hidden, run && d_shown ? d_shown + row(t, b) * s.hidden : nullptr, 1,
                     s.hidden, s.padded_hidden);
            if (run && d_read) add_to(reads(r), d_read + row(t, b) * s.read_size, s.read_size);
            if (kind == HOLD) continue;
            fill(d_interface(use, b), s.padded_interface);
            if (run) use_memory(t, r, kind);
        }
        if (kind != HOLD)
            multiply(group.rows, d_interface(use, group.first), s.padded_interface, weights.interface, d_output,
                     s.padded_hidden, d_output, s.padded_hidden);
        for (int64_t r = 0; r < group.rows; r++) control_step(t, r);
        multiply(group.rows, d_gates(t, group.first), s.controller.gates, weights.gates, weights.zeros, 0, d_seen,
                 columns);
        for (int64_t r = 0; r < group.rows; r++) see(t, r);
    }

    void control_step(int64_t t, int64_t r) {
        const int64_t b = group.first + r, H = s.padded_hidden;
        if (!runs(t, b)) return fill(d_gates(t, b), s.controller.gates);
        real* d = d_output + r * H;
        if (p.output_norm)
            normalise_backward(d, tape.norm(t, b), tape.norm(t, b)[H], p.weight[NORM_GAIN] + group.member * s.hidden,
                               s.hidden, H, d_norms + 10 * H, d_norms + 11 * H);
        add_to(state(r).h, d, H);
        control_backward(s.controller, group.member, tape.gates(t, b), tape.extra(t, b), state(r), d_gates(t, b),
                         d_norms, one);
    }

    // The gradient of what the controller saw goes to the input, the reads and h.
    void see(int64_t t, int64_t r) {
        const int64_t b = group.first + r, first = BackwardWeights::first_seen(s);
        const real* d = d_seen + r * BackwardWeights::columns(s);
        if (runs(t, b)) {
            if (p.d_x) copy(p.d_x + row(t, b) * p.input, d, p.input);
            add_to(reads(r), d + p.input - first, s.fed_back);
            add_to(state(r).h, d + p.input - first + s.fed_back, s.hidden);
        } else if (p.d_x) {
            fill(p.d_x + row(t, b) * p.input, p.input);
        }
        if (time.resets(t, b)) hand_over(r, p.d_fresh);
    }

    void use_memory(int64_t t, int64_t r, int8_t kind) {
        const int64_t b = group.first + r, use = time.used(t), gates_at = s.blocks * s.fields.size;
        const real *y = tape.fields(use, b), *gates = y + gates_at;
        real *d = d_interface(use, b), *d_mixed = reads(r), *d_block = d_block_reads + r * s.padded_reads;
        for (int64_t block = 0; block < s.blocks; block++) {
            const real* d_reads = d_mixed;
            if (p.gated && (kind & READS)) {
                for (int64_t head = 0; head < s.heads; head++) {
                    const int64_t gate = block * s.heads + head;
                    const real* from = tape.block_reads(time.read(t), b, block) + head * s.width;
                    real total = 0;
                    for (int64_t w = 0; w < s.width; w++) {
                        total += from[w] * d_mixed[head * s.width + w];
                        d_block[head * s.width + w] = gates[gate] * d_mixed[head * s.width + w];
                    }
                    d[gates_at + gate] = total;
                }
                d_reads = d_block;
            }
            use_block(t, r, kind, block, y + block * s.fields.size, d_reads, d + block * s.fields.size);
            activate_backward(s, y + block * s.fields.size, d + block * s.fields.size);
        }
        if (kind & READS) {
            fill(d_mixed, s.padded_reads);
            for (int64_t head = 0; p.gated && head < s.heads; head++)
                small_softmax_backward(d + gates_at + head, gates + head, s.blocks, s.heads);
        }
        if (p.clip_interface > 0)
            scale_by(d, tape.raw(use, b), s.interface, [this](vec z) { return passes(z, p.clip_interface); });
    }

    void use_block(int64_t t, int64_t r, int8_t kind, int64_t block, const real* y, const real* d_reads, real* d) {
        const int64_t b = group.first + r, number = time.written(t), N = s.padded_slots;
        const bool writes = kind & WRITES;
        const Source wrote = time.last(WRITES, t, b), read = time.last(READS, t, b);
        const WriteRecord before =
            wrote.number < 0 ? tape.home_write(wrote.fresh, b, block) : tape.write(wrote.number, b, block);
        const WriteRecord now = writes ? tape.write(number, b, block) : before;
        const real* read_before =
            read.number < 0 ? tape.home_read_weights(read.fresh, b, block) : tape.read(read.number, b, block).weights;
        const real* memory_before = writes ? replay.before(number, t, b, block) : nullptr;
        const real* memory = replay.after(writes ? Source{number, 0} : wrote, b, block);
        Carry c = carry(r, block);
        real* d_precedence = step_scratch.d_precedence;
        fill(d_precedence, N);
        if (kind & READS) {
            read_backward(s, y, now, writes ? before.precedence : nullptr, read_before, memory, memory + s.memory,
                          writes ? memory_before + s.memory : nullptr, tape.read(time.read(t), b, block), d_reads, d, c,
                          d_precedence, step_scratch);
        } else if (p.links) {
            const LinkBackward g{nullptr,  memory_before + s.memory, now.weights, before.precedence, nullptr, nullptr,
                                 c.link,   c.write,                  d_precedence, nullptr,          nullptr, nullptr};
            links_backward(g, true, 0, N);
        }
        if (writes) write_backward(s, y, before, read_before, memory_before, now, d, c, d_precedence, step_scratch);
    }
};

}  // namespace dnc
