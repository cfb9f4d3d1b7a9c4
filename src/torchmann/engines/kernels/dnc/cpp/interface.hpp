// The interface vector: its activations, in place, and their derivatives from the activated values.
#pragma once

#include "activations.hpp"
#include "problem.hpp"

namespace dnc {

// The fields of one block.
inline void activate(const Sizes& s, real* z) {
    const Fields& f = s.fields;
    if (s.p.tanh_keys) {
        map(z + f.read_key, s.read_size, [](vec v) { return tanh(v); });
        map(z + f.write_key, s.width, [](vec v) { return tanh(v); });
        map(z + f.write_vector, s.width, [](vec v) { return tanh(v); });
    }
    const real one = s.p.oneplus ? 1 : 0;
    for (int64_t r = 0; r < s.heads; r++) z[f.read_strength + r] = one + softplus(z[f.read_strength + r]);
    z[f.write_strength] = one + softplus(z[f.write_strength]);
    map(z + f.erase, s.width, [](vec v) { return sigmoid(v); });
    map(z + f.free_gate, s.heads + 2, [](vec v) { return sigmoid(v); });  // free gates, allocation gate, write gate
    if (s.p.softmax_allocation) z[f.allocation_strength] = 1 + softplus(z[f.allocation_strength]);
    if (s.p.links)
        for (int64_t r = 0; r < s.heads; r++) small_softmax(z + f.read_mode + 3 * r, 3, 1);
}

// From gradients of the activated fields y to those of the fields before, in place.
inline void activate_backward(const Sizes& s, const real* y, real* d) {
    const Fields& f = s.fields;
    if (s.p.tanh_keys)
        for (int64_t field : {f.read_key, f.write_key, f.write_vector})
            scale_by(d + field, y + field, field == f.read_key ? s.read_size : s.width, tanh_slope);
    const real one = s.p.oneplus ? 1 : 0;
    auto strength = [d, y](int64_t field, real one) { d[field] *= softplus_slope(y[field], one); };
    for (int64_t r = 0; r < s.heads; r++) strength(f.read_strength + r, one);
    strength(f.write_strength, one);
    scale_by(d + f.erase, y + f.erase, s.width, sigmoid_slope);
    scale_by(d + f.free_gate, y + f.free_gate, s.heads + 2, sigmoid_slope);
    if (s.p.softmax_allocation) strength(f.allocation_strength, 1);
    if (s.p.links)
        for (int64_t r = 0; r < s.heads; r++)
            small_softmax_backward(d + f.read_mode + 3 * r, y + f.read_mode + 3 * r, 3, 1);
}

}  // namespace dnc
