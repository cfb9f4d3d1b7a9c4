// The weights: packed for the products of a step, and their gradients over the whole sequence.
#pragma once

#include "controller.hpp"
#include "gemm.hpp"

namespace kernels {

// Where the gradients of one member's weights are put; null where they are not wanted.
struct WantedGradients {
    real* const* d_weight;
    int64_t member;

    real* at(int which, int64_t size) const { return d_weight[which] ? d_weight[which] + member * size : nullptr; }
};

// Weights of one member's controller, from what it sees [seen] to its pre-activations [gates], and the bias [gates].
inline void pack_gates(const Controller& c, int64_t member, const Packed& to, real* bias) {
    const int64_t H = c.hidden;
    const real *from_input = c.of(WEIGHT_IH, member), *from_state = c.of(WEIGHT_HH, member),
               *input_bias = c.of(BIAS_IH, member), *state_bias = c.of(BIAS_HH, member);
    to.clear();
    fill(bias, c.gates);
    for (int64_t q = 0; q < c.rows; q++) {
        const int64_t input_at = c.from_input[q] * c.padded_hidden, state_at = c.from_state[q] * c.padded_hidden;
        to.put_transposed(0, input_at, c.inputs, H, from_input + q * H * c.inputs, c.inputs);
        to.put_transposed(c.inputs, state_at, H, H, from_state + q * H * H, H);
        if (input_bias) add_to(bias + input_at, input_bias + q * H, H);
        if (state_bias) add_to(bias + state_at, state_bias + q * H, H);
    }
}

// The same the other way round [gates, seen], without the first columns of what is seen.
inline void pack_gates_backward(const Controller& c, int64_t member, int64_t first, const Packed& to) {
    const int64_t H = c.hidden;
    const real *from_input = c.of(WEIGHT_IH, member), *from_state = c.of(WEIGHT_HH, member);
    to.clear();
    for (int64_t q = 0; q < c.rows; q++) {
        to.put(c.from_input[q] * c.padded_hidden, 0, H, c.inputs - first, from_input + q * H * c.inputs + first,
               c.inputs);
        to.put(c.from_state[q] * c.padded_hidden, c.inputs - first, H, H, from_state + q * H * H, H);
    }
}

// A linear map, weight [outputs, inputs] and bias, from [inputs] to [outputs, padded], and the other way round.
inline void pack_linear(const real* weight, const real* bias_from, int64_t outputs, int64_t inputs, const Packed& to,
                        real* bias) {
    to.clear();
    fill(bias, to.columns);
    to.put_transposed(0, 0, inputs, outputs, weight, inputs);
    if (bias_from) copy(bias, bias_from, outputs);
}
inline void pack_linear_backward(const real* weight, int64_t outputs, int64_t inputs, const Packed& to) {
    to.clear();
    to.put(0, 0, outputs, inputs, weight, inputs);
}

// The gradients of weights are cut into pieces of `block_rows` rows that threads can share.
inline int64_t row_blocks(int64_t rows) { return (rows + block_rows - 1) / block_rows; }
inline int64_t gate_pieces(const Controller& c) { return c.columns * row_blocks(c.hidden); }
inline int64_t gradient_scratch_size(int64_t columns) { return GradientScratch::size(columns) + block_rows; }

// Rows [row, row + count) of a gradient [rows, columns] and of its bias, if they are wanted.
inline void hand_out(real* weight, real* bias, int64_t row, int64_t count, int64_t columns, const real* total,
                     int64_t wide, const real* sums) {
    if (weight) unpad_rows(weight + row * columns, total, count, columns, wide);
    if (bias) copy(bias + row, sums, count);
}

// Piece `number` of the gradients of a controller's weights, from those of its pre-activations [inner, gates] and what
// it saw [inner, padded_seen], over all steps and rows.
inline void gate_gradient(const Controller& c, const WantedGradients& to, int64_t number, int64_t inner,
                          const real* d_gates, const real* seen, real* scratch) {
    auto place = [&c](const int64_t* groups, int64_t group) {
        for (int64_t q = 0; q < c.rows; q++)
            if (groups[q] == group) return q;
        return int64_t(-1);
    };
    const int64_t per_group = row_blocks(c.hidden), group = number / per_group, unit = number % per_group * block_rows;
    const int64_t H = c.hidden, count = std::min(block_rows, H - unit);
    // a group of columns belongs to one group of rows of weight_ih, of weight_hh, or of both
    const int64_t by_input = place(c.from_input, group), by_state = place(c.from_state, group);
    const int64_t first = by_input < 0 ? c.inputs : 0, end = by_state < 0 ? c.inputs : c.seen;
    const GradientScratch at(end - first, scratch + block_rows);
    weight_gradient(count, end - first, inner, d_gates + group * c.padded_hidden + unit, c.gates, seen + first,
                    c.padded_seen, at, scratch);
    if (by_input >= 0)
        hand_out(to.at(WEIGHT_IH, c.size(WEIGHT_IH)), to.at(BIAS_IH, c.size(BIAS_IH)), by_input * H + unit, count,
                 c.inputs, at.total, at.wide, scratch);
    if (by_state >= 0)
        hand_out(to.at(WEIGHT_HH, c.size(WEIGHT_HH)), to.at(BIAS_HH, c.size(BIAS_HH)), by_state * H + unit, count, H,
                 at.total + c.inputs - first, at.wide, scratch);
}

// The same of a linear map: rows of its gradient from those of what it gave [inner, ld_outputs] and what it took.
inline void linear_gradient(real* weight, real* bias, int64_t number, int64_t outputs, int64_t inputs, int64_t inner,
                            const real* d_outputs, int64_t ld_outputs, const real* taken, int64_t ld_taken,
                            real* scratch) {
    const int64_t row = number * block_rows, count = std::min(block_rows, outputs - row);
    const GradientScratch at(inputs, scratch + block_rows);
    weight_gradient(count, inputs, inner, d_outputs + row, ld_outputs, taken, ld_taken, at, scratch);
    hand_out(weight, bias, row, count, inputs, at.total, at.wide, scratch);
}

// The sum of what `groups` have found, in their order, `stride` apart: `rows` padded vectors to a gradient
// [rows, count].
inline void sum_groups(real* to, const real* found, int64_t groups, int64_t stride, int64_t rows, int64_t count) {
    if (!to) return;
    fill(to, rows * count);
    for (int64_t i = 0; i < groups; i++) add_unpadded(to, found + i * stride, rows, count, padded(count));
}

}  // namespace kernels
