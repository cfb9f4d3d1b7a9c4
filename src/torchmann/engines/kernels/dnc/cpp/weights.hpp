// The weights: packed for the products of a step, and their gradients over the whole sequence.
#pragma once

#include "gemm.hpp"
#include "tape.hpp"

namespace dnc {

// Weights of one member for the forward pass: what the controller sees [seen] to the pre-activations [gates], and its
// output [hidden] to the interface, each with its bias.
struct ForwardWeights {
    Packed gates, interface;
    real *gates_bias, *interface_bias;

    static int64_t size(const Sizes& s) {
        return Packed::size(s.seen, s.gates) + s.gates + Packed::size(s.hidden, s.padded_interface) +
               s.padded_interface;
    }

    ForwardWeights(const Sizes& s, real* at)
        : gates{at, s.seen, s.gates},
          interface{at + Packed::size(s.seen, s.gates) + s.gates, s.hidden, s.padded_interface},
          gates_bias(at + Packed::size(s.seen, s.gates)),
          interface_bias(interface.data + Packed::size(s.hidden, s.padded_interface)) {}

    void pack_gates(const Sizes& s, int64_t member) const {
        const int64_t H = s.hidden, rows = s.gate.rows * H, inputs = s.seen - H;
        const real *from_input = s.p.weight[WEIGHT_IH] + member * rows * inputs,
                   *from_state = s.p.weight[WEIGHT_HH] + member * rows * H;
        gates.clear();
        fill(gates_bias, s.gates);
        for (int64_t q = 0; q < s.gate.rows; q++) {
            const int64_t input_at = s.gate.from_input[q] * s.padded_hidden,
                          state_at = s.gate.from_state[q] * s.padded_hidden;
            gates.put_transposed(0, input_at, inputs, H, from_input + q * H * inputs, inputs);
            gates.put_transposed(inputs, state_at, H, H, from_state + q * H * H, H);
            if (s.p.weight[BIAS_IH]) add_to(gates_bias + input_at, s.p.weight[BIAS_IH] + member * rows + q * H, H);
            if (s.p.weight[BIAS_HH]) add_to(gates_bias + state_at, s.p.weight[BIAS_HH] + member * rows + q * H, H);
        }
    }

    void pack_interface(const Sizes& s, int64_t member) const {
        interface.clear();
        fill(interface_bias, s.padded_interface);
        interface.put_transposed(0, 0, s.hidden, s.interface, s.p.weight[INTERFACE] + member * s.interface * s.hidden,
                                 s.hidden);
        if (s.p.weight[INTERFACE_BIAS])
            copy(interface_bias, s.p.weight[INTERFACE_BIAS] + member * s.interface, s.interface);
    }
};

// The same the other way round. Without a gradient of the input its columns are left out.
struct BackwardWeights {
    Packed gates, interface;
    real* zeros;

    static int64_t first_seen(const Sizes& s) { return s.p.d_x ? 0 : s.p.input; }
    static int64_t columns(const Sizes& s) { return padded(s.seen - first_seen(s)); }
    static int64_t size(const Sizes& s) {
        return Packed::size(s.gates, columns(s)) + Packed::size(s.interface, s.padded_hidden) + columns(s);
    }

    BackwardWeights(const Sizes& s, real* at)
        : gates{at, s.gates, columns(s)},
          interface{at + Packed::size(s.gates, columns(s)), s.interface, s.padded_hidden},
          zeros(interface.data + Packed::size(s.interface, s.padded_hidden)) {}

    void pack_gates(const Sizes& s, int64_t member) const {
        const int64_t H = s.hidden, rows = s.gate.rows * H, inputs = s.seen - H, first = first_seen(s);
        const real *from_input = s.p.weight[WEIGHT_IH] + member * rows * inputs,
                   *from_state = s.p.weight[WEIGHT_HH] + member * rows * H;
        gates.clear();
        fill(zeros, columns(s));
        for (int64_t q = 0; q < s.gate.rows; q++) {
            gates.put(s.gate.from_input[q] * s.padded_hidden, 0, H, inputs - first,
                      from_input + q * H * inputs + first, inputs);
            gates.put(s.gate.from_state[q] * s.padded_hidden, inputs - first, H, H, from_state + q * H * H, H);
        }
    }

    void pack_interface(const Sizes& s, int64_t member) const {
        interface.clear();
        interface.put(0, 0, s.interface, s.hidden, s.p.weight[INTERFACE] + member * s.interface * s.hidden, s.hidden);
    }
};

// Weight gradients of one member, cut into pieces of `block_rows` rows that threads can share.
struct WeightGradients {
    const Sizes& s;
    const Tape& tape;
    int64_t member;
    const real *d_gates, *d_interface;  // [T, B, gates], [used, B, padded_interface]
    real* scratch;

    static int64_t blocks(int64_t rows) { return (rows + block_rows - 1) / block_rows; }
    static int64_t pieces(const Sizes& s) { return s.gate.columns * blocks(s.hidden) + blocks(s.interface); }
    static int64_t scratch_size(const Sizes& s) { return GradientScratch::size(s.seen) + block_rows; }

    void piece(int64_t number) const {
        const int64_t per_gate = blocks(s.hidden), gates = s.gate.columns * per_gate;
        if (number < gates) gate_rows(number / per_gate, number % per_gate * block_rows);
        else interface_rows((number - gates) * block_rows);
    }

  private:
    real* wanted(Weight weight, int64_t size) const {
        return s.p.d_weight[weight] ? s.p.d_weight[weight] + member * size : nullptr;
    }
    static int64_t place(const int64_t* groups, int64_t count, int64_t group) {
        for (int64_t q = 0; q < count; q++)
            if (groups[q] == group) return q;
        return -1;
    }

    // A group of columns of the pre-activations belongs to one group of rows of weight_ih, of weight_hh, or of both.
    void gate_rows(int64_t group, int64_t unit) const {
        const int64_t H = s.hidden, inputs = s.seen - H, rows = s.gate.rows * H;
        const int64_t count = std::min(block_rows, H - unit);
        const int64_t by_input = place(s.gate.from_input, s.gate.rows, group),
                      by_state = place(s.gate.from_state, s.gate.rows, group);
        const int64_t first = by_input < 0 ? inputs : 0, end = by_state < 0 ? inputs : s.seen;
        const GradientScratch at(end - first, scratch + block_rows);
        weight_gradient(count, end - first, s.T * s.B, d_gates + group * s.padded_hidden + unit, s.gates,
                        tape.seen_ + first, s.padded_seen, at, scratch);
        if (by_input >= 0) hand_out(WEIGHT_IH, BIAS_IH, rows, by_input * H + unit, count, inputs, at.total, at.wide);
        if (by_state >= 0)
            hand_out(WEIGHT_HH, BIAS_HH, rows, by_state * H + unit, count, H, at.total + inputs - first, at.wide);
    }

    void interface_rows(int64_t row) const {
        const int64_t count = std::min(block_rows, s.interface - row);
        const GradientScratch at(s.hidden, scratch + block_rows);
        weight_gradient(count, s.hidden, s.used * s.B, d_interface + row, s.padded_interface, tape.output_,
                        s.padded_hidden, at, scratch);
        hand_out(INTERFACE, INTERFACE_BIAS, s.interface, row, count, s.hidden, at.total, at.wide);
    }

    // Rows [row, row + count) of a weight [rows, columns] and of its bias, if they are wanted.
    void hand_out(Weight weight, Weight bias, int64_t rows, int64_t row, int64_t count, int64_t columns,
                  const real* total, int64_t wide) const {
        if (real* to = wanted(weight, rows * columns)) unpad_rows(to + row * columns, total, count, columns, wide);
        if (real* to = wanted(bias, rows)) copy(to + row, scratch, count);
    }
};

}  // namespace dnc
