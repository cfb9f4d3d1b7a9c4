// The weights of one member, packed for the products of the forward and the backward pass; those of the state only
// where it pays (not where `direct`).
#pragma once

#include "controller_weights.hpp"
#include "direct.hpp"
#include "problem.hpp"

namespace recurrent {

// From x [I] and from h [H] to the pre-activations [gates], apart, and the bias [gates].
struct ForwardWeights {
    const Controller& c;
    const bool direct;
    const int64_t member;
    Packed input, state;
    real* bias;

    static int64_t size(const Sizes& s) { return (s.cell.inputs + s.packed_states + 1) * s.cell.gates; }
    ForwardWeights(const Sizes& s, int64_t member, real* at)
        : c(s.cell), direct(s.direct), member(member), input{at, c.inputs, c.gates},
          state{at + c.inputs * c.gates, s.packed_states, c.gates},
          bias(at + (c.inputs + s.packed_states) * c.gates) {}

    void pack(int64_t part) const {
        if (part) {
            if (!direct) put(c.of(WEIGHT_HH, member), c.from_state, state);
            return;
        }
        put(c.of(WEIGHT_IH, member), c.from_input, input);
        fill(bias, c.gates);
        add(c.of(BIAS_IH, member), c.from_input);
        add(c.of(BIAS_HH, member), c.from_state);
    }

    // gates [rows, gates] += the part from h, whose rows lie `ld` apart.
    void add_from_state(int64_t rows, const real* h, int64_t ld, real* gates) const {
        if (!direct) return multiply(rows, h, ld, state, gates, c.gates, gates, c.gates);
        const real* weight = c.of(WEIGHT_HH, member);
        for (int64_t q = 0; q < c.rows; q++)
            add_product(weight + q * c.hidden * c.hidden, c.hidden, c.hidden, h,
                        gates + c.from_state[q] * c.padded_hidden);
    }

  private:
    void put(const real* weight, const int64_t* groups, const Packed& to) const {
        to.clear();
        const int64_t inner = to.inner;
        for (int64_t q = 0; q < c.rows; q++)
            to.put_transposed(0, groups[q] * c.padded_hidden, inner, c.hidden, weight + q * c.hidden * inner, inner);
    }
    void add(const real* from, const int64_t* groups) const {
        for (int64_t q = 0; from && q < c.rows; q++)
            add_to(bias + groups[q] * c.padded_hidden, from + q * c.hidden, c.hidden);
    }
};

// From the gradients of the pre-activations [gates] to those of x [padded I], if wanted, and of h [padded H].
struct BackwardWeights {
    const Controller& c;
    const bool direct;
    const int64_t member;
    Packed input, state;
    real* zeros;  // [padded I]

    static int64_t inputs(const Sizes& s) { return s.p.d_x ? padded(s.cell.inputs) : 0; }
    static int64_t states(const Sizes& s) { return padded(s.packed_states); }
    static int64_t size(const Sizes& s) { return s.cell.gates * (inputs(s) + states(s)) + inputs(s); }
    BackwardWeights(const Sizes& s, int64_t member, real* at)
        : c(s.cell), direct(s.direct), member(member), input{at, c.gates, inputs(s)},
          state{at + c.gates * inputs(s), c.gates, states(s)}, zeros(state.data + c.gates * states(s)) {}

    void pack(int64_t part) const {
        if (part) {
            if (!direct) put(c.of(WEIGHT_HH, member), c.from_state, c.hidden, state);
            return;
        }
        fill(zeros, input.columns);
        if (input.columns) put(c.of(WEIGHT_IH, member), c.from_input, c.inputs, input);
    }

    // d_h [rows, padded H], whose rows lie `ld` apart, += what comes from d_gates [rows, gates].
    void add_to_state(int64_t rows, const real* d_gates, real* d_h, int64_t ld) const {
        if (!direct) return multiply(rows, d_gates, c.gates, state, d_h, ld, d_h, ld);
        const real* weight = c.of(WEIGHT_HH, member);
        for (int64_t q = 0; q < c.rows; q++)
            add_product_backward(weight + q * c.hidden * c.hidden, c.hidden, c.hidden,
                                 d_gates + c.from_state[q] * c.padded_hidden, d_h);
    }

  private:
    void put(const real* weight, const int64_t* groups, int64_t count, const Packed& to) const {
        to.clear();
        for (int64_t q = 0; q < c.rows; q++)
            to.put(groups[q] * c.padded_hidden, 0, c.hidden, count, weight + q * c.hidden * count, count);
    }
};

}  // namespace recurrent
