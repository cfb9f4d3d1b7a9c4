// Layer normalisation of one vector whose padding is zero: y = gain * x_hat + shift.
#pragma once

#include "vec.hpp"

namespace kernels {

// x becomes x_hat, with zero in the padding; returns 1 / sqrt(variance + eps).
inline real normalise(real* x, int64_t count, int64_t padded_count, real epsilon) {
    vec total{}, squares{};
    for (int64_t i = 0; i < padded_count; i += lanes) total += load(x + i);
    const real mean = sum(total) / count;
    for (int64_t i = 0; i < padded_count; i += lanes) {
        const vec centred = first_lanes(count - i) ? load(x + i) - mean : vec{};
        squares += centred * centred;
        store(x + i, centred);
    }
    const real inverse = 1 / std::sqrt(sum(squares) / count + epsilon);
    for (int64_t i = 0; i < padded_count; i += lanes) store(x + i, load(x + i) * inverse);
    return inverse;
}

// d becomes the gradient of x from that of y; d_gain and d_shift are added to.
inline void normalise_backward(real* d, const real* x_hat, real inverse, const real* gain, int64_t count,
                               int64_t padded_count, real* d_gain, real* d_shift) {
    vec total{}, along{};
    for (int64_t i = 0; i < padded_count; i += lanes) {
        const vec d_y = load(d + i), hat = load(x_hat + i), d_hat = d_y * load_part(gain + i, count - i);
        store(d_gain + i, load(d_gain + i) + d_y * hat);
        store(d_shift + i, load(d_shift + i) + d_y);
        total += d_hat, along += d_hat * hat;
        store(d + i, d_hat);
    }
    const real mean = sum(total) / count, slope = sum(along) / count;
    for (int64_t i = 0; i < padded_count; i += lanes) {
        const vec d_x = inverse * (load(d + i) - mean - load(x_hat + i) * slope);
        store(d + i, first_lanes(count - i) ? d_x : vec{});
    }
}

}  // namespace kernels
