// The weights of one member: packed for the products of a step, and their gradients over the whole sequence.
#pragma once

#include "controller_weights.hpp"
#include "tape.hpp"

namespace ntm {

// Where the weight of a map to the interface is, and its bias behind it; null where there is none.
inline const real* map_weight(const Sizes& s, int64_t member, int64_t number) {
    return s.p.weight[MAPS + 2 * number] + member * s.map(number).size * s.hidden;
}
inline const real* map_bias(const Sizes& s, int64_t member, int64_t number) {
    const real* bias = s.p.weight[MAPS + 2 * number + 1];
    return bias ? bias + member * s.map(number).size : nullptr;
}

constexpr int64_t most_maps = 1 + most_layers;
inline int64_t weight_parts(const Sizes& s) { return s.layers + s.maps; }

// For the forward pass: of each layer what it sees [seen] to its pre-activations [gates], and the maps from a layer
// [hidden] to a part of the interface, each with its bias.
struct ForwardWeights {
    Packed gates[most_layers], maps[most_maps];
    real *gates_bias[most_layers], *map_bias_[most_maps];
    int64_t size;

    ForwardWeights(const Sizes& s, real* base) {
        Plan plan{base};
        for (int64_t layer = 0; layer < s.layers; layer++) {
            const Controller c = s.controller(layer);
            gates[layer] = {plan.take(Packed::size(c.seen, c.gates)), c.seen, c.gates};
            gates_bias[layer] = plan.take(c.gates);
        }
        for (int64_t i = 0; i < s.maps; i++) {
            const int64_t columns = padded(s.map(i).size);
            maps[i] = {plan.take(Packed::size(s.hidden, columns)), s.hidden, columns};
            map_bias_[i] = plan.take(columns);
        }
        size = plan.total;
    }

    void pack(const Sizes& s, int64_t member, int64_t part) const {
        if (part < s.layers) return pack_gates(s.controller(part), member, gates[part], gates_bias[part]);
        const int64_t i = part - s.layers;
        pack_linear(map_weight(s, member, i), map_bias(s, member, i), s.map(i).size, s.hidden, maps[i], map_bias_[i]);
    }
};

// The same the other way round. Without a gradient of the input its columns are left out.
struct BackwardWeights {
    Packed gates[most_layers], maps[most_maps];
    real* zeros;
    int64_t size;

    static int64_t first_seen(const Sizes& s, int64_t layer) { return layer || s.p.d_x ? 0 : s.p.input; }
    static int64_t columns(const Sizes& s, int64_t layer) {
        return padded(s.controller(layer).seen - first_seen(s, layer));
    }
    static int64_t most_columns(const Sizes& s) {
        return std::max(columns(s, 0), s.layers > 1 ? columns(s, 1) : 0);
    }

    BackwardWeights(const Sizes& s, real* base) {
        Plan plan{base};
        for (int64_t layer = 0; layer < s.layers; layer++) {
            const int64_t inner = s.controller(layer).gates, wide = columns(s, layer);
            gates[layer] = {plan.take(Packed::size(inner, wide)), inner, wide};
        }
        for (int64_t i = 0; i < s.maps; i++) {
            const int64_t inner = s.map(i).size;
            maps[i] = {plan.take(Packed::size(inner, s.padded_hidden)), inner, s.padded_hidden};
        }
        zeros = plan.take(most_columns(s));
        size = plan.total;
    }

    void pack(const Sizes& s, int64_t member, int64_t part) const {
        if (part == 0) fill(zeros, most_columns(s));
        if (part < s.layers)
            return pack_gates_backward(s.controller(part), member, first_seen(s, part), gates[part]);
        const int64_t i = part - s.layers;
        pack_linear_backward(map_weight(s, member, i), s.map(i).size, s.hidden, maps[i]);
    }
};

// The gradients of what the weights made, kept over all steps: of each layer's pre-activations [T, B, gates] and of the
// interface [used, B, padded_interface].
struct Kept {
    real *d_gates[most_layers], *d_interface;
    int64_t size;

    Kept(const Sizes& s, real* base) {
        Plan plan{base};
        for (int64_t layer = 0; layer < s.layers; layer++)
            d_gates[layer] = plan.take(s.T * s.B * s.controller(layer).gates + slack);
        d_interface = plan.take(s.used * s.B * s.padded_interface + slack);
        size = plan.total;
    }
};

// Weight gradients of one member, in pieces that threads can share.
struct WeightGradients {
    const Sizes& s;
    const Tape& tape;
    const Kept& kept;
    int64_t member;
    real* scratch;

    static int64_t pieces(const Sizes& s) {
        int64_t total = s.layers * gate_pieces(s.controller(0));
        for (int64_t i = 0; i < s.maps; i++) total += row_blocks(s.map(i).size);
        return total;
    }
    static int64_t scratch_size(const Sizes& s) {
        return gradient_scratch_size(std::max(s.controller(0).seen, 2 * s.hidden));
    }

    void piece(int64_t number) const {
        for (int64_t layer = 0; layer < s.layers; layer++) {
            const Controller c = s.controller(layer);
            const WantedGradients to{s.p.d_weight + layer * controller_weights, member};
            if (number < gate_pieces(c))
                return gate_gradient(c, to, number, s.T * s.B, kept.d_gates[layer], tape.seen_[layer], scratch);
            number -= gate_pieces(c);
        }
        const WantedGradients to{s.p.d_weight, member};
        for (int64_t i = 0; i < s.maps; i++) {
            const Map map = s.map(i);
            if (number < row_blocks(map.size))
                return linear_gradient(to.at(MAPS + 2 * i, map.size * s.hidden), to.at(MAPS + 2 * i + 1, map.size),
                                       number, map.size, s.hidden, s.used * s.B, kept.d_interface + map.offset,
                                       s.padded_interface, tape.hidden_ + map.layer * s.padded_hidden,
                                       s.layers * s.padded_hidden, scratch);
            number -= row_blocks(map.size);
        }
    }
};

}  // namespace ntm
