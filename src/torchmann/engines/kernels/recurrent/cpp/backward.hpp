// The backward pass of some rows of one member over the whole sequence, last step first.
#pragma once

#include "forward.hpp"

namespace recurrent {

class Backward {
  public:
    static int64_t norms_size(const Sizes& s) { return 10 * s.cell.padded_hidden; }
    static int64_t scratch_size(const Sizes& s, int64_t rows) {
        return rows * state_size(s) + s.cell.padded_hidden + ahead * BackwardWeights::inputs(s);
    }

    // d_gates [T, B, gates] is filled for the weight gradients; d_norms (five gains and five shifts) is added to.
    Backward(const Sizes& s, const BackwardWeights& weights, const Group& group, real* d_gates, real* d_norms,
             real* scratch)
        : s(s), c(s.cell), p(s.p), weights(weights), group(group), tape(s, group.member), d_gates_(d_gates),
          d_norms(d_norms), d_states(scratch), one(scratch + group.rows * state_size(s)),
          d_inputs(one + c.padded_hidden) {}

    void run() {
        for (int64_t r = 0; r < group.rows; r++) load_state(s, p.d_final, row(group.first + r), d_state(r));
        for (int64_t t = s.T - 1; t >= 0; t--) step(t);
        for (int64_t r = 0; r < group.rows; r++) hand_over(r, p.d_state);
        for (int64_t r = 0; p.d_x && r < group.rows; r++)
            for (int64_t begin = 0; begin < s.T; begin += ahead)
                give_out(begin, std::min(s.T, begin + ahead), group.first + r);
    }

  private:
    const Sizes& s;
    const Controller& c;
    const Problem& p;
    const BackwardWeights& weights;
    const Group group;
    const Tape tape;
    real *d_gates_, *d_norms, *d_states, *one, *d_inputs;

    ControllerState d_state(int64_t r) const {
        return {d_states + r * state_size(s), d_states + r * state_size(s) + c.padded_hidden};
    }
    real* d_gates(int64_t t, int64_t b) const { return d_gates_ + (t * s.B + b) * c.gates; }
    int64_t row(int64_t b) const { return group.member * s.B + b; }
    int64_t row(int64_t t, int64_t b) const { return (group.member * s.T + t) * s.B + b; }
    bool runs(int64_t t, int64_t b) const { return t < s.end(group.member, b); }

    // Add the gradient of a row's state to that of where it came from, and start from zero.
    void hand_over(int64_t r, real* const* to) const {
        const int64_t at = row(group.first + r) * c.hidden;
        const ControllerState d = d_state(r);
        add_unpadded(to[H] ? to[H] + at : nullptr, d.h, 1, c.hidden, c.padded_hidden);
        add_unpadded(to[C] ? to[C] + at : nullptr, d.c, 1, c.hidden, c.padded_hidden);
        fill(d.h, state_size(s));
    }

    void step(int64_t t) const {
        for (int64_t r = 0; r < group.rows; r++) {
            const int64_t b = group.first + r;
            if (!runs(t, b)) {
                fill(d_gates(t, b), c.gates);
                continue;
            }
            if (p.d_output) add_to(d_state(r).h, p.d_output + row(t, b) * c.hidden, c.hidden);
            control_backward(c, group.member, tape.gates(t, b), tape.extra(t, b), d_state(r), d_gates(t, b), d_norms,
                             one);
        }
        weights.add_to_state(group.rows, d_gates(t, group.first), d_states, state_size(s));
        for (int64_t r = 0; r < group.rows; r++)
            if (s.resets(group.member, t, group.first + r)) hand_over(r, p.d_fresh);
    }

    // The gradients of the inputs of some steps of row b.
    void give_out(int64_t begin, int64_t end, int64_t b) const {
        const int64_t wide = weights.input.columns;
        multiply(end - begin, d_gates(begin, b), s.B * c.gates, weights.input, weights.zeros, 0, d_inputs, wide);
        for (int64_t t = begin; t < end; t++) copy(p.d_x + row(t, b) * p.input, d_inputs + (t - begin) * wide, p.input);
    }
};

}  // namespace recurrent
