// The weights of one member: packed for the products of a step, and their gradients over the whole sequence.
#pragma once

#include "controller_weights.hpp"
#include "tape.hpp"

namespace dnc {

// For the forward pass: what the controller sees [seen] to the pre-activations [gates], and its output [hidden] to the
// interface, each with its bias.
struct ForwardWeights {
    Packed gates, interface;
    real *gates_bias, *interface_bias;

    static int64_t gates_size(const Sizes& s) { return Packed::size(s.controller.seen, s.controller.gates); }
    static int64_t size(const Sizes& s) {
        return gates_size(s) + s.controller.gates + Packed::size(s.hidden, s.padded_interface) + s.padded_interface;
    }

    ForwardWeights(const Sizes& s, real* at)
        : gates{at, s.controller.seen, s.controller.gates},
          interface{at + gates_size(s) + s.controller.gates, s.hidden, s.padded_interface},
          gates_bias(at + gates_size(s)),
          interface_bias(interface.data + Packed::size(s.hidden, s.padded_interface)) {}

    void pack(const Sizes& s, int64_t member, int64_t part) const {
        const Problem& p = s.p;
        if (part == 0) return pack_gates(s.controller, member, gates, gates_bias);
        pack_linear(p.weight[INTERFACE] + member * s.interface * s.hidden,
                    p.weight[INTERFACE_BIAS] ? p.weight[INTERFACE_BIAS] + member * s.interface : nullptr, s.interface,
                    s.hidden, interface, interface_bias);
    }
};

// The same the other way round. Without a gradient of the input its columns are left out.
struct BackwardWeights {
    Packed gates, interface;
    real* zeros;

    static int64_t first_seen(const Sizes& s) { return s.p.d_x ? 0 : s.p.input; }
    static int64_t columns(const Sizes& s) { return padded(s.controller.seen - first_seen(s)); }
    static int64_t size(const Sizes& s) {
        return Packed::size(s.controller.gates, columns(s)) + Packed::size(s.interface, s.padded_hidden) + columns(s);
    }

    BackwardWeights(const Sizes& s, real* at)
        : gates{at, s.controller.gates, columns(s)},
          interface{at + Packed::size(s.controller.gates, columns(s)), s.interface, s.padded_hidden},
          zeros(interface.data + Packed::size(s.interface, s.padded_hidden)) {}

    void pack(const Sizes& s, int64_t member, int64_t part) const {
        if (part == 0) {
            fill(zeros, columns(s));
            return pack_gates_backward(s.controller, member, first_seen(s), gates);
        }
        pack_linear_backward(s.p.weight[INTERFACE] + member * s.interface * s.hidden, s.interface, s.hidden, interface);
    }
};

// Weight gradients of one member, in pieces that threads can share.
struct WeightGradients {
    const Sizes& s;
    const Tape& tape;
    int64_t member;
    const real *d_gates, *d_interface;  // [T, B, gates], [used, B, padded_interface]
    real* scratch;

    static int64_t pieces(const Sizes& s) { return gate_pieces(s.controller) + row_blocks(s.interface); }
    static int64_t scratch_size(const Sizes& s) { return gradient_scratch_size(s.controller.seen); }

    void piece(int64_t number) const {
        const WantedGradients to{s.p.d_weight, member};
        const int64_t gates = gate_pieces(s.controller);
        if (number < gates) return gate_gradient(s.controller, to, number, s.T * s.B, d_gates, tape.seen_, scratch);
        linear_gradient(to.at(INTERFACE, s.interface * s.hidden), to.at(INTERFACE_BIAS, s.interface), number - gates,
                        s.interface, s.hidden, s.used * s.B, d_interface, s.padded_interface, tape.output_,
                        s.padded_hidden, scratch);
    }
};

}  // namespace dnc
