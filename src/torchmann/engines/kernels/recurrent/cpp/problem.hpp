// What the kernel is asked to do: sizes, options and tensors, as the caller fills them in.
#pragma once

#include "controller.hpp"
#include "grouping.hpp"

namespace recurrent {

using namespace kernels;

// Leaves of the state, in the order in which they are passed; only LSTMs have c.
enum Leaf { H, C, leaves };

// Filled in by Python (ctypes) field by field: 64-bit integers, doubles, pointers. All tensors are contiguous, have the
// kernel's number type unless said otherwise, and a leading axis of ensemble members.
struct Problem {
    // sizes
    int64_t members, steps, batch, input, hidden;
    // options
    int64_t controller;        // a ControllerKind
    int64_t carry_normalised;  // layer-norm LSTM: the next step gets the normalised cell
    int64_t relu;              // Elman: ReLU in place of tanh
    int64_t keep;              // fill the tape that the backward needs
    int64_t threads;
    // limits
    double clip_state;  // zero or less: none
    double norm_epsilon;
    // inputs
    const real* x;           // [members, T, B, I]
    const int8_t* kinds;     // [T]; a step has no memory to read or write, so all kinds are one
    const int64_t* lengths;  // [members, B]; null: T each
    const int8_t* reset;     // [members, T, B]; null: none
    const real* weight[controller_weights];
    const real* state[leaves];  // before the first step, [members, B, H]
    const real* fresh[leaves];  // where rows that are reset start
    // results
    real* output;  // [members, T, B, H]
    real* final[leaves];
    real* tape;
    real* scratch;
    // gradients of the results; null: zero
    const real* d_output;
    const real* d_final[leaves];
    // gradients wanted; null: not wanted
    real* d_x;
    real* d_weight[controller_weights];
    real* d_state[leaves];
    real* d_fresh[leaves];
};

// How many steps' inputs are multiplied by their weights at once: as many as a weight in the cache serves well.
constexpr int64_t ahead = 16;

// Sizes that follow from the problem.
struct Sizes {
    const Problem& p;
    Controller cell;
    Grouping grouping;
    int64_t T, B;
    bool direct;            // rows by themselves and few steps: the state's weights are used as they lie
    int64_t packed_states;  // H, or 0 where those are not packed

    explicit Sizes(const Problem& p)
        : p(p), cell(p.controller, p.input, p.hidden, p.carry_normalised, p.relu, p.clip_state, p.norm_epsilon,
                     p.weight),
          grouping(p.members, p.batch, p.threads), T(p.steps), B(p.batch),
          direct(grouping.rows == 1 && T <= ahead && p.hidden >= lanes), packed_states(direct ? 0 : p.hidden) {}

    // Steps of a row: from there on it only rests, or is reset.
    int64_t end(int64_t member, int64_t b) const { return p.lengths ? p.lengths[member * B + b] : T; }
    bool resets(int64_t member, int64_t t, int64_t b) const {
        return p.reset && p.reset[(member * T + t) * B + b];
    }
};

}  // namespace recurrent
