// Addressing by content and by location (Graves et al. 2014, section 3.3), of one head in one row.
#pragma once

#include "activations.hpp"
#include "content.hpp"
#include "tape.hpp"

namespace ntm {

// A weighting with its ends joined: before the first slot lie the last ones, and behind the last the first.
struct Ring {
    real* middle;

    static int64_t size(const Sizes& s) { return s.padded_slots + 2 * padded(s.range); }
    Ring(const Sizes& s, real* at) : middle(at + padded(s.range)) {}

    void join(const Sizes& s) const {
        const int64_t N = s.slots;
        for (int64_t i = 0; i < s.range; i++) {
            middle[-1 - i] = middle[N - 1 - i % N];
            middle[N + i] = middle[i % N];  // after a full turn these are the first slots again
        }
    }
};

// w_g = g w_c + (1 - g) w', from the nearer end as torch.lerp has it (eq. 7).
inline void interpolate(const real* content, const real* previous, real gate, int64_t slots, real* to) {
    const bool near_previous = gate < real(0.5);
    const real part = near_previous ? gate : gate - 1;
    for (int64_t n = 0; n < slots; n += lanes) {
        const vec c = load(content + n), w = load(previous + n);
        store(to + n, (near_previous ? w : c) + part * (c - w));
    }
}

// w_s[i] = sum over taps of w_g[i + range - tap] s[tap] (eq. 8); zero in the padding.
inline void shift(const Sizes& s, const Ring& gated, const real* taps, real* shifted) {
    for (int64_t n = 0; n < s.padded_slots; n += lanes) {
        vec total{};
        for (int64_t tap = 0; tap < s.taps; tap++) total += taps[tap] * load_loose(gated.middle + n + s.range - tap);
        store(shifted + n, first_lanes(s.slots - n) ? total : vec{});
    }
}
// d_shifted has its ends joined; d_taps are added to, d_gated is set.
inline void shift_backward(const Sizes& s, const Ring& gated, const real* taps, const Ring& d_shifted, real* d_taps,
                           real* d_gated) {
    for (int64_t n = 0; n < s.padded_slots; n += lanes) {
        vec total{};
        for (int64_t tap = 0; tap < s.taps; tap++)
            total += taps[tap] * load_loose(d_shifted.middle + n + tap - s.range);
        store(d_gated + n, first_lanes(s.slots - n) ? total : vec{});
    }
    for (int64_t tap = 0; tap < s.taps; tap++) {
        vec total{};
        for (int64_t n = 0; n < s.padded_slots; n += lanes) {
            const vec along = load(d_shifted.middle + n) * load_loose(gated.middle + n + s.range - tap);
            total += first_lanes(s.slots - n) ? along : vec{};
        }
        d_taps[tap] += sum(total);
    }
}

constexpr real least_weight = real(1e-12);  // is added before the logarithm: its gradient at zero is finite

// w[i] = w_s[i]^gamma / (sum of all + eps), as a softmax of gamma log w_s (eq. 9).
inline void sharpen(const Sizes& s, const real* shifted, real gamma, real* logs, real* weights) {
    const int64_t N = s.padded_slots;
    const real epsilon = s.p.sharpening_epsilon;
    vec most = splat(std::numeric_limits<real>::lowest());
    for (int64_t n = 0; n < N; n += lanes) {
        const vec w = load(shifted + n), l = log((w < 0 ? vec{} : w) + least_weight);
        store(logs + n, l);
        most = larger(first_lanes(s.slots - n) ? gamma * l : most, most);
    }
    real top = largest(most), rest = 0;
    if (epsilon > 0) {
        top = std::max(top, std::log(epsilon));
        rest = std::exp(std::log(epsilon) - top);
    }
    vec total{};
    for (int64_t n = 0; n < N; n += lanes) {
        const vec e = first_lanes(s.slots - n) ? exp(gamma * load(logs + n) - top) : vec{};
        store(weights + n, e);
        total += e;
    }
    const real scale = 1 / (sum(total) + rest);
    for (int64_t n = 0; n < N; n += lanes) store(weights + n, load(weights + n) * scale);
}
// Returns the gradient of gamma; d_shifted is set, zero in the padding.
inline real sharpen_backward(const Sizes& s, const AddressRecord& now, real gamma, const real* d_weights,
                             real* d_shifted) {
    const int64_t N = s.padded_slots;
    const real mean = dot(now.weights, d_weights, N);
    vec d_gamma{};
    for (int64_t n = 0; n < N; n += lanes) {
        const vec d_power = load(now.weights + n) * (load(d_weights + n) - mean), w = load(now.shifted + n);
        d_gamma += d_power * load(now.logs + n);
        store(d_shifted + n, w < 0 ? vec{} : gamma * d_power / (w + least_weight));
    }
    return sum(d_gamma);
}

// The weighting of a head: look up, interpolate, shift, sharpen.
inline void address(const Sizes& s, const real* memory, const real* norm, const real* y, const Head& head,
                    const real* previous, const AddressRecord& now, const Ring& gated) {
    const int64_t N = s.padded_slots;
    look_up(memory, norm, y + head.key, y[head.strength], s.similarity, s.width, s.slots, N, now.similarity,
            now.content);
    interpolate(now.content, previous, y[head.gate], N, gated.middle);
    gated.join(s);
    shift(s, gated, y + head.shift, now.shifted);
    sharpen(s, now.shifted, y[head.gamma], now.logs, now.weights);
}

// Vectors that the backward of an addressing needs for itself.
struct AddressScratch {
    Ring gated, d_shifted;
    real *d_gated, *d_content, *d_key;

    static int64_t size(const Sizes& s) { return 2 * Ring::size(s) + 2 * s.padded_slots + padded(s.width); }
    AddressScratch(const Sizes& s, real* at)
        : gated(s, at), d_shifted(s, at + Ring::size(s)), d_gated(at + 2 * Ring::size(s)),
          d_content(d_gated + s.padded_slots), d_key(d_content + s.padded_slots) {}
};

// From the gradient of the weighting to those of the fields (added to d), of the weighting before (d_previous, set; may
// be d_weights), of the products with the key (d_product, set) and of the slots' norms (d_norm, added to).
inline void address_backward(const Sizes& s, const real* memory, const real* norm, const real* y, const Head& head,
                             const real* previous, const AddressRecord& now, const real* d_weights, real* d,
                             real* d_previous, real* d_product, real* d_norm, const AddressScratch& scratch) {
    const int64_t N = s.padded_slots;
    const real gate = y[head.gate];
    d[head.gamma] += sharpen_backward(s, now, y[head.gamma], d_weights, scratch.d_shifted.middle);
    interpolate(now.content, previous, gate, N, scratch.gated.middle);
    scratch.gated.join(s);
    scratch.d_shifted.join(s);
    shift_backward(s, scratch.gated, y + head.shift, scratch.d_shifted, d + head.shift, scratch.d_gated);
    vec d_gate{};
    for (int64_t n = 0; n < N; n += lanes) {
        const vec d_w = load(scratch.d_gated + n);
        d_gate += d_w * (load(now.content + n) - load(previous + n));
        store(scratch.d_content + n, gate * d_w);
        store(d_previous + n, (1 - gate) * d_w);
    }
    d[head.gate] += sum(d_gate);
    d[head.strength] += look_up_gradient(memory, norm, y + head.key, y[head.strength], s.similarity, s.width, N,
                                         now.similarity, now.content, scratch.d_content, d_product, d_norm,
                                         scratch.d_key);
    add_to(d + head.key, scratch.d_key, s.width);
}

// The activations of a head's fields, in place.
inline void activate(const Sizes& s, real* z, const Head& head) {
    if (s.p.tanh_keys) {
        map(z + head.key, s.width, [](vec v) { return tanh(v); });
        if (head.add >= 0) map(z + head.add, s.width, [](vec v) { return tanh(v); });
    }
    z[head.strength] = softplus(z[head.strength]);
    z[head.gate] = sigmoid(z[head.gate]);
    small_softmax(z + head.shift, s.taps, 1);
    z[head.gamma] = 1 + softplus(z[head.gamma]);
    if (head.erase >= 0) map(z + head.erase, s.width, [](vec v) { return sigmoid(v); });
}
// From gradients of the activated fields y to those of the fields before, in place.
inline void activate_backward(const Sizes& s, const real* y, const Head& head, real* d) {
    if (s.p.tanh_keys) {
        scale_by(d + head.key, y + head.key, s.width, tanh_slope);
        if (head.add >= 0) scale_by(d + head.add, y + head.add, s.width, tanh_slope);
    }
    d[head.strength] *= softplus_slope(y[head.strength], 0);
    d[head.gate] *= y[head.gate] * (1 - y[head.gate]);
    small_softmax_backward(d + head.shift, y + head.shift, s.taps, 1);
    d[head.gamma] *= softplus_slope(y[head.gamma], 1);
    if (head.erase >= 0) scale_by(d + head.erase, y + head.erase, s.width, sigmoid_slope);
}

}  // namespace ntm
