// Content addressing. The memory of a block lies width-major, M[w][n]: the slots along the vectors.
#pragma once

#include "vec.hpp"

namespace dnc {

// (M k)[n] = sum over w of M[w][n] k[w].
inline void match(const real* memory, const real* key, int64_t width, int64_t slots, real* to) {
    int64_t n = 0;
    for (; n + 4 * lanes <= slots; n += 4 * lanes) {
        vec a{}, b{}, c{}, d{};
        for (int64_t w = 0; w < width; w++) {
            const real* row = memory + w * slots + n;
            a += key[w] * load(row), b += key[w] * load(row + lanes);
            c += key[w] * load(row + 2 * lanes), d += key[w] * load(row + 3 * lanes);
        }
        store(to + n, a), store(to + n + lanes, b), store(to + n + 2 * lanes, c), store(to + n + 3 * lanes, d);
    }
    for (; n < slots; n += lanes) {
        vec a{}, b{};
        int64_t w = 0;
        for (; w + 2 <= width; w += 2) {
            a += key[w] * load(memory + w * slots + n);
            b += key[w + 1] * load(memory + (w + 1) * slots + n);
        }
        if (w < width) a += key[w] * load(memory + w * slots + n);
        store(to + n, a + b);
    }
}

// (M^T v)[w] = sum over n of M[w][n] v[n]: a read with the weighting v.
inline void read_out(const real* memory, const real* weights, int64_t width, int64_t slots, real* to) {
    for (int64_t first = 0; first < width; first += lanes) {
        const int64_t count = std::min<int64_t>(lanes, width - first);
        vec total[lanes] = {};
        if (count == lanes)
            for (int64_t n = 0; n < slots; n += lanes) {
                const vec weight = load(weights + n);
                for (int w = 0; w < lanes; w++) total[w] += weight * load(memory + (first + w) * slots + n);
            }
        else
            for (int64_t w = 0; w < count; w++)
                for (int64_t n = 0; n < slots; n += lanes)
                    total[w] += load(weights + n) * load(memory + (first + w) * slots + n);
        store_part(to + first, sums(total), count);
    }
}

// norm[n] = sqrt(sum over w of M[w][n]^2 + eps).
inline void norms(const real* memory, int64_t width, int64_t slots, real epsilon, real* norm) {
    for (int64_t n = 0; n < slots; n += lanes) {
        vec a = splat(epsilon), b{};
        for (int64_t w = 0; w < width; w++) {
            const vec m = load(memory + w * slots + n);
            (w & 1 ? b : a) += m * m;
        }
        a += b;
        for (int i = 0; i < lanes; i++) a[i] = std::sqrt(a[i]);
        store(norm + n, a);
    }
}

inline real key_norm(const real* key, int64_t width, real epsilon) {
    real total = epsilon;
    for (int64_t w = 0; w < width; w++) total += key[w] * key[w];
    return std::sqrt(total);
}

// weights[n] = softmax over n < count of strength * values[n]; zero in the padding.
inline void softmax(const real* values, real strength, int64_t count, int64_t slots, real* weights) {
    vec most = splat(std::numeric_limits<real>::lowest());
    for (int64_t n = 0; n < slots; n += lanes) {
        const vec logit = first_lanes(count - n) ? strength * load(values + n) : most;
        most = larger(logit, most);
    }
    const real top = largest(most);
    vec total{};
    for (int64_t n = 0; n < slots; n += lanes) {
        const vec e = first_lanes(count - n) ? exp(strength * load(values + n) - top) : vec{};
        store(weights + n, e);
        total += e;
    }
    const real scale = 1 / sum(total);
    for (int64_t n = 0; n < slots; n += lanes) store(weights + n, load(weights + n) * scale);
}

// d_logits[n] = weights[n] (d_weights[n] - sum weights d_weights); may be in place.
inline void softmax_backward(const real* weights, const real* d_weights, int64_t slots, real* d_logits) {
    vec total{};
    for (int64_t n = 0; n < slots; n += lanes) total += load(weights + n) * load(d_weights + n);
    const real mean = sum(total);
    for (int64_t n = 0; n < slots; n += lanes) store(d_logits + n, load(weights + n) * (load(d_weights + n) - mean));
}

inline real dot(const real* a, const real* b, int64_t slots) {
    vec total{};
    for (int64_t n = 0; n < slots; n += lanes) total += load(a + n) * load(b + n);
    return sum(total);
}

// similarity[n] = k . M[n] / (|k| |M[n]| + eps), and the softmax of strength * similarity.
inline void look_up(const real* memory, const real* norm, const real* key, real strength, real epsilon, int64_t width,
                    int64_t count, int64_t slots, real* similarity, real* weights) {
    const real length = key_norm(key, width, epsilon);
    match(memory, key, width, slots, similarity);
    for (int64_t n = 0; n < slots; n += lanes)
        store(similarity + n, load(similarity + n) / (length * load(norm + n) + epsilon));
    softmax(similarity, strength, count, slots, weights);
}

// The gradient of `look_up` at the weighting: of the products k . M[n] in `d_product`, added to that of the norms in
// `d_norm`; of the strength as the result; of the length of the key divided by it in `d_length`.
inline real look_up_backward(const real* norm, const real* key, real strength, real epsilon, int64_t width,
                             int64_t slots, const real* similarity, const real* weights, const real* d_weights,
                             real* d_product, real* d_norm, real* d_length) {
    const real length = key_norm(key, width, epsilon);
    softmax_backward(weights, d_weights, slots, d_product);
    const real d_strength = dot(d_product, similarity, slots);
    vec total{};
    for (int64_t n = 0; n < slots; n += lanes) {
        const vec d = strength * load(d_product + n) / (length * load(norm + n) + epsilon);
        const vec d_denominator = -d * load(similarity + n);
        total += d_denominator * load(norm + n);
        store(d_norm + n, load(d_norm + n) + d_denominator * length);
        store(d_product + n, d);
    }
    *d_length = sum(total) / length;
    return d_strength;
}

}  // namespace dnc
