// Usage of slots, and which free slot to allocate (Graves et al. 2016, "Dynamic memory allocation").
#pragma once

#include "content.hpp"
#include "problem.hpp"

namespace dnc {

// u = (u' + w - u' w) prod over heads of (1 - f wr), w rounded as 1 - (1 - w): what is too small to count is no usage,
// and leaves slots equal that are equal.
inline void usage(const real* before, const real* written, const real* read_weights, const real* free_gate,
                  int64_t heads, int64_t slots, real* to) {
    for (int64_t n = 0; n < slots; n += lanes) {
        const vec u = load(before + n), w = 1 - (1 - load(written + n));
        vec retention = splat(1);
        for (int64_t r = 0; r < heads; r++) retention *= 1 - free_gate[r] * load(read_weights + r * slots + n);
        store(to + n, (u + w - u * w) * retention);
    }
}

// Gradients of `usage`: d_before, d_free are set, d_read_weights is added to, and d_written where it is not null.
inline void usage_backward(const real* before, const real* written, const real* read_weights, const real* free_gate,
                           int64_t heads, int64_t slots, const real* d_usage, real* d_before, real* d_written,
                           real* d_read_weights, real* d_free) {
    for (int64_t r = 0; r < heads; r++) d_free[r] = 0;
    for (int64_t n = 0; n < slots; n += lanes) {
        const vec u = load(before + n), w = 1 - (1 - load(written + n)), d = load(d_usage + n);
        const vec d_retention = d * (u + w - u * w);
        vec retention = splat(1);
        for (int64_t r = 0; r < heads; r++) {
            vec others = d_retention;
            for (int64_t q = 0; q < heads; q++)
                if (q != r) others *= 1 - free_gate[q] * load(read_weights + q * slots + n);
            const vec read = load(read_weights + r * slots + n);
            store(d_read_weights + r * slots + n, load(d_read_weights + r * slots + n) - others * free_gate[r]);
            d_free[r] -= sum(others * read);
            retention *= 1 - free_gate[r] * read;
        }
        const vec d_used = d * retention;
        if (d_written) store(d_written + n, load(d_written + n) + d_used * (1 - u));
        store(d_before + n, d_used * (1 - w));
    }
}

// order[j] = the slot with the j-th smallest usage, ties to the lower slot. By counting for each slot those before it,
// which for the few slots of a dense memory is faster than a sort.
inline void ascending(const real* usage, int64_t count, integer* order) {
    for (int64_t first = 0; first < count; first += lanes) {
        const vec mine = load(usage + first);
        const int64_t end = std::min<int64_t>(count, first + lanes);
        ivec rank{};
        for (int64_t j = 0; j < first; j++) rank -= splat(usage[j]) <= mine;
        for (int64_t j = first; j < end; j++)
            rank -= (splat(usage[j]) < mine) | ((splat(usage[j]) == mine) & (lane_numbers > (integer)(j - first)));
        for (int64_t j = end; j < count; j++) rank -= splat(usage[j]) < mine;
        for (int64_t i = first; i < end; i++) order[rank[i - first]] = i;
    }
}

inline real squeezed(real usage, real floor) { return floor + (1 - floor) * usage; }

// a[phi_j] = (1 - u[phi_j]) prod over i < j of u[phi_i], u squeezed to floor + (1 - floor) u.
inline void sorted_allocation(const real* usage, real floor, int64_t count, int64_t slots, real* squeezed_usage,
                              integer* order, real* allocation) {
    for (int64_t n = 0; n < slots; n++) squeezed_usage[n] = squeezed(usage[n], floor);
    real total = 0;
    for (int64_t n = 0; n < count; n++) total += squeezed_usage[n];
    if (total != total) {  // what is not a number has no rank: every slot must still be named once
        for (int64_t n = 0; n < slots; n++) allocation[n] = n < count ? total : 0;
        for (int64_t n = 0; n < count; n++) order[n] = n;
        return;
    }
    ascending(squeezed_usage, count, order);
    real product = 1;
    for (int64_t j = 0; j < count; j++) {
        const real u = squeezed_usage[order[j]];
        allocation[order[j]] = (1 - u) * product;
        product *= u;
    }
    for (int64_t n = count; n < slots; n++) allocation[n] = 0;
}

// The allocation from a known order.
inline void allocation_in_order(const real* usage, real floor, int64_t count, int64_t slots, const integer* order,
                                real* allocation) {
    real product = 1;
    for (int64_t j = 0; j < count; j++) {
        const real u = squeezed(usage[order[j]], floor);
        allocation[order[j]] = (1 - u) * product;
        product *= u;
    }
    for (int64_t n = count; n < slots; n++) allocation[n] = 0;
}

// d_usage[phi_j] += (1 - floor) prod_{i<j} u (rest_j - d_a[phi_j]), where rest_j is what all later slots together would
// gain, rest_{j-1} = d_a[phi_j] (1 - u[phi_j]) + u[phi_j] rest_j: no division, so a usage of zero is no problem.
inline void sorted_allocation_backward(const real* usage, real floor, int64_t count, const integer* order,
                                       const real* d_allocation, real* products, real* d_usage) {
    real product = 1;
    for (int64_t j = 0; j < count; j++) {
        products[j] = product;
        product *= squeezed(usage[order[j]], floor);
    }
    real rest = 0;
    for (int64_t j = count - 1; j >= 0; j--) {
        const int64_t slot = order[j];
        const real u = squeezed(usage[slot], floor), d = d_allocation[slot];
        d_usage[slot] += (1 - floor) * products[j] * (rest - d);
        rest = d * (1 - u) + u * rest;
    }
}

// a = softmax(strength (1 - u)) ("Differentiable memory allocation", eq. 10).
inline void softmax_allocation(const real* usage, real strength, int64_t count, int64_t slots, real* unused,
                               real* allocation) {
    for (int64_t n = 0; n < slots; n += lanes) store(unused + n, 1 - load(usage + n));
    softmax(unused, strength, count, slots, allocation);
}

// Adds to d_usage and returns the gradient of the strength; d_logits is scratch.
inline real softmax_allocation_backward(const real* usage, real strength, int64_t slots, const real* allocation,
                                        const real* d_allocation, real* d_logits, real* d_usage) {
    softmax_backward(allocation, d_allocation, slots, d_logits);
    vec total{};
    for (int64_t n = 0; n < slots; n += lanes) {
        const vec d = load(d_logits + n);
        total += d * (1 - load(usage + n));
        store(d_usage + n, load(d_usage + n) - strength * d);
    }
    return sum(total);
}

}  // namespace dnc
