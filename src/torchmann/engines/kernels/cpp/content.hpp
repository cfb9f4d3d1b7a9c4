// Content addressing (Graves et al. 2014, eqs 5-6; Graves et al. 2016, "Content-based addressing").
#pragma once

#include "matrix.hpp"

namespace kernels {

inline real key_norm(const real* key, int64_t width, const Similarity& similarity) {
    real total = similarity.inner;
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

// The similarity of the key to each slot, and the softmax of strength * similarity.
inline void look_up(const real* memory, const real* norm, const real* key, real strength, const Similarity& cosine,
                    int64_t width, int64_t count, int64_t slots, real* similarity, real* weights) {
    const real length = key_norm(key, width, cosine);
    match(memory, key, width, slots, similarity);
    for (int64_t n = 0; n < slots; n += lanes)
        store(similarity + n, load(similarity + n) / cosine.denominator(length, load(norm + n)));
    softmax(similarity, strength, count, slots, weights);
}

// The gradient of `look_up` at the weighting: of the products k . M[n] in `d_product`, added to that of the norms in
// `d_norm`; of the strength as the result; of the length of the key divided by it in `d_length`.
inline real look_up_backward(const real* norm, const real* key, real strength, const Similarity& cosine, int64_t width,
                             int64_t slots, const real* similarity, const real* weights, const real* d_weights,
                             real* d_product, real* d_norm, real* d_length) {
    const real length = key_norm(key, width, cosine), longer = cosine.scale * (length + cosine.added);
    softmax_backward(weights, d_weights, slots, d_product);
    const real d_strength = dot(d_product, similarity, slots);
    vec total{};
    for (int64_t n = 0; n < slots; n += lanes) {
        const vec d = strength * load(d_product + n) / cosine.denominator(length, load(norm + n));
        const vec d_denominator = -d * load(similarity + n);
        total += d_denominator * (load(norm + n) + cosine.added);
        store(d_norm + n, load(d_norm + n) + d_denominator * longer);
        store(d_product + n, d);
    }
    *d_length = length > 0 ? cosine.scale * sum(total) / length : 0;
    return d_strength;
}

// The whole gradient of one look-up but that of the memory; returns the strength's.
inline real look_up_gradient(const real* memory, const real* norm, const real* key, real strength,
                             const Similarity& cosine, int64_t width, int64_t slots, const real* similarity,
                             const real* weights, const real* d_weights, real* d_product, real* d_norm, real* d_key) {
    real d_length;
    const real d_strength = look_up_backward(norm, key, strength, cosine, width, slots, similarity, weights, d_weights,
                                             d_product, d_norm, &d_length);
    read_out(memory, d_product, width, slots, d_key);
    for (int64_t w = 0; w < width; w++) d_key[w] += d_length * key[w];
    return d_strength;
}

}  // namespace kernels
