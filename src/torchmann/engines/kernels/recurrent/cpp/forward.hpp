// The forward pass of some rows of one member over the whole sequence.
#pragma once

#include "tape.hpp"
#include "weights.hpp"

namespace recurrent {

// What the states of a group's rows take, [padded_hidden] for h and for c each; c is there for every kind.
inline int64_t state_size(const Sizes& s) { return 2 * s.cell.padded_hidden; }

// Fill a row's state from the caller's leaves; null is zero.
inline void load_state(const Sizes& s, const real* const* leaf, int64_t row, ControllerState to) {
    for (int i = H; i < leaves; i++)
        pad_rows(i == H ? to.h : to.c, leaf[i] ? leaf[i] + row * s.cell.hidden : nullptr, 1, s.cell.hidden,
                 s.cell.padded_hidden);
}

class Forward {
  public:
    static int64_t scratch_size(const Sizes& s, int64_t rows) { return rows * state_size(s); }

    Forward(const Sizes& s, const ForwardWeights& weights, const Group& group, real* scratch)
        : s(s), c(s.cell), p(s.p), weights(weights), group(group), tape(s, group.member), states(scratch) {}

    void run() {
        for (int64_t r = 0; r < group.rows; r++) load_state(s, p.state, row(group.first + r), state(r));
        for (int64_t begin = 0; begin < s.T; begin += ahead) {
            const int64_t end = std::min(s.T, begin + ahead);
            for (int64_t r = 0; r < group.rows; r++) take_in(begin, end, group.first + r);
            for (int64_t t = begin; t < end; t++) step(t);
        }
        for (int64_t r = 0; r < group.rows; r++) finish(r);
    }

  private:
    const Sizes& s;
    const Controller& c;
    const Problem& p;
    const ForwardWeights& weights;
    const Group group;
    const Tape tape;
    real* states;

    ControllerState state(int64_t r) const {
        return {states + r * state_size(s), states + r * state_size(s) + c.padded_hidden};
    }
    int64_t row(int64_t b) const { return group.member * s.B + b; }
    int64_t row(int64_t t, int64_t b) const { return (group.member * s.T + t) * s.B + b; }
    bool runs(int64_t t, int64_t b) const { return t < s.end(group.member, b); }

    // The inputs of some steps of row b, and their part of the pre-activations; zeros behind the row's end.
    void take_in(int64_t begin, int64_t end, int64_t b) const {
        for (int64_t t = begin; t < end; t++) {
            if (runs(t, b)) copy(tape.seen(t, b), p.x + row(t, b) * p.input, p.input);
            else fill(tape.seen(t, b), p.input);
        }
        multiply(end - begin, tape.seen(begin, b), s.B * c.padded_seen, weights.input, weights.bias, 0,
                 tape.gates(begin, b), s.B * c.gates);
    }

    void step(int64_t t) const {
        for (int64_t r = 0; r < group.rows; r++) {
            const int64_t b = group.first + r;
            if (s.resets(group.member, t, b)) load_state(s, p.fresh, row(b), state(r));
            real* seen = tape.seen(t, b) + p.input;
            if (runs(t, b)) copy(seen, state(r).h, c.hidden);
            else fill(seen, c.hidden);
            fill(seen + c.hidden, c.padded_seen - c.seen);
        }
        const real* h = tape.seen(t, group.first) + p.input;
        weights.add_from_state(group.rows, h, c.padded_seen, tape.gates(t, group.first));
        for (int64_t r = 0; r < group.rows; r++) {
            const int64_t b = group.first + r;
            real* to = p.output + row(t, b) * c.hidden;
            if (!runs(t, b)) {
                fill(to, c.hidden);
                continue;
            }
            control(c, group.member, tape.gates(t, b), tape.extra(t, b), state(r));
            copy(to, state(r).h, c.hidden);
        }
    }

    // The state after a row's last step, to the caller.
    void finish(int64_t r) const {
        const int64_t at = row(group.first + r) * c.hidden;
        copy(p.final[H] + at, state(r).h, c.hidden);
        if (p.final[C]) copy(p.final[C] + at, state(r).c, c.hidden);
    }
};

}  // namespace recurrent
