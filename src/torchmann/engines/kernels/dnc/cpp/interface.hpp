// The interface vector: its activations, in place, and their derivatives from the activated values.
#pragma once

#include "problem.hpp"

namespace dnc {

template <class Function>
inline void map(real* values, int64_t count, Function function) {
    for (int64_t i = 0; i < count; i += lanes)
        store_part(values + i, function(load_part(values + i, count - i)), count - i);
}

// d[i] *= slope(values[i]).
template <class Function>
inline void scale_by(real* d, const real* values, int64_t count, Function slope) {
    for (int64_t i = 0; i < count; i += lanes)
        store_part(d + i, load_part(d + i, count - i) * slope(load_part(values + i, count - i)), count - i);
}

inline vec sigmoid_slope(vec y) { return y * (1 - y); }
inline vec tanh_slope(vec y) { return 1 - y * y; }

// Softmax over `count` numbers that lie `stride` apart.
inline void small_softmax(real* values, int64_t count, int64_t stride) {
    real most = values[0], total = 0;
    for (int64_t i = 1; i < count; i++) most = std::max(most, values[i * stride]);
    for (int64_t i = 0; i < count; i++) total += values[i * stride] = std::exp(values[i * stride] - most);
    for (int64_t i = 0; i < count; i++) values[i * stride] /= total;
}
inline void small_softmax_backward(real* d, const real* values, int64_t count, int64_t stride) {
    real mean = 0;
    for (int64_t i = 0; i < count; i++) mean += d[i * stride] * values[i * stride];
    for (int64_t i = 0; i < count; i++) d[i * stride] = values[i * stride] * (d[i * stride] - mean);
}

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
    auto strength = [d, y](int64_t field, real one) { d[field] *= -std::expm1(one - y[field]); };  // the sigmoid of before
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
