// Activations of parts of a vector, in place, and their derivatives from the activated values.
#pragma once

#include "vec.hpp"

namespace kernels {

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

// 1 where |x| <= limit, 0 where clipping has cut the gradient.
inline vec passes(vec x, real limit) { return (x <= limit) & (x >= -limit) ? splat(1) : vec{}; }

// The derivative of offset + softplus at the value y that it gave: the sigmoid of what it took.
inline real softplus_slope(real y, real offset) { return -std::expm1(offset - y); }

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

}  // namespace kernels
