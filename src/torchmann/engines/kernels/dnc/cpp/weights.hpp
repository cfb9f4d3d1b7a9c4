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

// to[m] = sum over k of a[k][m], m < count <= tile_rows.
inline void bias_gradient(int64_t count, int64_t inner, const real* a, int64_t lda, real* to) {
    real total[tile_rows] = {};
    for (int64_t k = 0; k < inner; k++)
        for (int64_t m = 0; m < count; m++) total[m] += a[k * lda + m];
    copy(to, total, count);
}

// Weight gradients of one member, cut into pieces of `tile_rows` rows that threads can share.
struct WeightGradients {
    const Sizes& s;
    const Tape& tape;
    int64_t member;
    const real *d_gates, *d_interface;  // [T, B, gates], [used, B, padded_interface]

    static int64_t tiles(int64_t rows) { return (rows + tile_rows - 1) / tile_rows; }
    static int64_t pieces(const Sizes& s) { return s.gate.rows * tiles(s.hidden) + tiles(s.interface); }

    void piece(int64_t number) const {
        const int64_t per_gate = tiles(s.hidden), gates = s.gate.rows * per_gate;
        if (number < gates) gate_rows(number / per_gate, number % per_gate * tile_rows);
        else interface_rows((number - gates) * tile_rows);
    }

  private:
    real* wanted(Weight weight, int64_t size) const {
        return s.p.d_weight[weight] ? s.p.d_weight[weight] + member * size : nullptr;
    }

    void gate_rows(int64_t gate, int64_t unit) const {
        const int64_t H = s.hidden, inner = s.T * s.B, inputs = s.seen - H, rows = s.gate.rows * H;
        const int64_t count = std::min<int64_t>(tile_rows, H - unit), row = gate * H + unit;
        const real* by_input = d_gates + s.gate.from_input[gate] * s.padded_hidden + unit;
        const real* by_state = d_gates + s.gate.from_state[gate] * s.padded_hidden + unit;
        if (real* to = wanted(WEIGHT_IH, rows * inputs))
            weight_gradient(count, inputs, inner, by_input, s.gates, tape.seen_, s.padded_seen, to + row * inputs,
                            inputs);
        if (real* to = wanted(WEIGHT_HH, rows * H))
            weight_gradient(count, H, inner, by_state, s.gates, tape.seen_ + inputs, s.padded_seen, to + row * H, H);
        if (real* to = wanted(BIAS_IH, rows)) bias_gradient(count, inner, by_input, s.gates, to + row);
        if (real* to = wanted(BIAS_HH, rows)) bias_gradient(count, inner, by_state, s.gates, to + row);
    }

    void interface_rows(int64_t row) const {
        const int64_t H = s.hidden, inner = s.used * s.B, count = std::min<int64_t>(tile_rows, s.interface - row);
        if (real* to = wanted(INTERFACE, s.interface * H))
            weight_gradient(count, H, inner, d_interface + row, s.padded_interface, tape.output_, s.padded_hidden,
                            to + row * H, H);
        if (real* to = wanted(INTERFACE_BIAS, s.interface))
            bias_gradient(count, inner, d_interface + row, s.padded_interface, to + row);
    }
};

}  // namespace dnc
