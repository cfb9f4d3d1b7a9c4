// The memory matrix of a block, which lies width-major, M[w][n]: the slots along the vectors.
#pragma once

#include "vec.hpp"

namespace kernels {

// A memory as the caller has it, [count, width], to width-major [width, slots], and back; null is zero.
inline void widen_memory(real* to, const real* from, int64_t count, int64_t width, int64_t slots) {
    fill(to, width * slots);
    if (!from) return;
    for (int64_t n = 0; n < count; n++)
        for (int64_t w = 0; w < width; w++) to[w * slots + n] = from[n * width + w];
}
inline void narrow_memory(real* to, const real* from, int64_t count, int64_t width, int64_t slots) {
    for (int64_t n = 0; n < count; n++)
        for (int64_t w = 0; w < width; w++) to[n * width + w] = from[w * slots + n];
}
inline void add_narrowed(real* to, const real* from, int64_t count, int64_t width, int64_t slots) {
    if (!to) return;
    for (int64_t n = 0; n < count; n++)
        for (int64_t w = 0; w < width; w++) to[n * width + w] += from[w * slots + n];
}

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

// The cosine similarity k . m / (scale (|k| + added) (|m| + added) + outer), |x| = sqrt(sum of squares + inner).
struct Similarity {
    real inner, added, outer, scale;

    template <class Number>
    Number denominator(real key_norm, Number slot_norm) const {
        return scale * (key_norm + added) * (slot_norm + added) + outer;
    }
};

// norm[n] = sqrt(sum over w of M[w][n]^2 + inner).
inline void norms(const real* memory, int64_t width, int64_t slots, const Similarity& similarity, real* norm) {
    for (int64_t n = 0; n < slots; n += lanes) {
        vec a = splat(similarity.inner), b{};
        for (int64_t w = 0; w < width; w++) {
            const vec m = load(memory + w * slots + n);
            (w & 1 ? b : a) += m * m;
        }
        a += b;
        for (int i = 0; i < lanes; i++) a[i] = std::sqrt(a[i]);
        store(norm + n, a);
    }
}

// M = M' (1 - w e^T) + w v^T; may be in place.
inline void erase_and_add(const real* before, const real* write, const real* erase, const real* add, int64_t width,
                          int64_t slots, real* memory) {
    for (int64_t w = 0; w < width; w++)
        for (int64_t n = 0; n < slots; n += lanes) {
            const vec weight = load(write + n), m = load(before + w * slots + n);
            store(memory + w * slots + n, m + weight * (add[w] - erase[w] * m));
        }
}

// The sums over the lanes of `count` vectors, one after the other at `parts`.
inline void sum_each(const real* parts, int64_t count, real* to) {
    for (int64_t first = 0; first < count; first += lanes) {
        vec rows[lanes];
        for (int i = 0; i < lanes; i++) rows[i] = load(parts + (first + i) * lanes);
        store_part(to + first, sums(rows), count - first);
    }
}

// `Vectors` vectors of slots from n on of `erase_and_add_backward`; the sums over slots are left in the lanes of parts.
template <int Vectors>
inline void erase_and_add_backward_at(int64_t n, const real* memory, const real* write, const real* erase,
                                      const real* add, int64_t width, int64_t slots, real* d_memory, real* d_write,
                                      real* erase_parts, real* add_parts) {
    vec weight[Vectors], total[Vectors];
    for (int i = 0; i < Vectors; i++) weight[i] = load(write + n + i * lanes), total[i] = load(d_write + n + i * lanes);
    for (int64_t w = 0; w < width; w++) {
        const real e = erase[w], v = add[w];
        vec d_erase = load(erase_parts + w * lanes), d_add = load(add_parts + w * lanes);
        for (int i = 0; i < Vectors; i++) {
            const int64_t at = w * slots + n + i * lanes;
            const vec d = load(d_memory + at), weighted = d * weight[i], m = load(memory + at);
            total[i] += d * (v - e * m);
            d_erase -= weighted * m;
            d_add += weighted;
            store(d_memory + at, d - e * weighted);
        }
        store(erase_parts + w * lanes, d_erase), store(add_parts + w * lanes, d_add);
    }
    for (int i = 0; i < Vectors; i++) store(d_write + n + i * lanes, total[i]);
}

// Of M = M' (1 - w e^T) + w v^T: d_memory becomes that of M', d_write is added to, d_erase and d_add are set.
inline void erase_and_add_backward(const real* memory, const real* write, const real* erase, const real* add,
                                   int64_t width, int64_t slots, real* d_memory, real* d_write, real* d_erase,
                                   real* d_add, real* parts) {
    real* add_parts = parts + padded(width) * lanes;
    fill(parts, 2 * padded(width) * lanes);
    int64_t n = 0;
    for (; n + 4 * lanes <= slots; n += 4 * lanes)
        erase_and_add_backward_at<4>(n, memory, write, erase, add, width, slots, d_memory, d_write, parts, add_parts);
    for (; n < slots; n += lanes)
        erase_and_add_backward_at<1>(n, memory, write, erase, add, width, slots, d_memory, d_write, parts, add_parts);
    sum_each(parts, width, d_erase);
    sum_each(add_parts, width, d_add);
}

// d_M[w][n] += scale[n] M[w][n] + sum over `Heads` heads r of (d_product[r][n] key[r][w] + weights[r][n] d_reads[r][w]),
// scale being that of `matrix_gradient` or zero.
template <int Heads, bool Reads>
inline void matrix_gradient_of(const real* memory, const real* norm, const real* d_norm, const real* d_product,
                               const real* key, const real* weights, const real* d_reads, int64_t width, int64_t slots,
                               real* d_memory) {
    for (int64_t n = 0; n < slots; n += lanes) {
        const vec scale = norm ? ratio(load(d_norm + n), load(norm + n)) : vec{};
        vec product[Heads], weight[Heads];
        for (int r = 0; r < Heads; r++) {
            product[r] = load(d_product + r * slots + n);
            if (Reads) weight[r] = load(weights + r * slots + n);
        }
        for (int64_t w = 0; w < width; w++) {
            real* at = d_memory + w * slots + n;
            vec total = load(at);
            total += scale * load(memory + w * slots + n);
            for (int r = 0; r < Heads; r++) {
                total += product[r] * key[r * width + w];
                if (Reads) total += weight[r] * d_reads[r * width + w];
            }
            store(at, total);
        }
    }
}

// The gradient of the memory from what matched and read it: of the products with the keys, of the norms of its slots
// (scale[n] = d_norm[n] / norm[n], zero where the norm is), and of the reads; `weights` is null where nothing was read.
inline void matrix_gradient(const real* memory, const real* norm, const real* d_norm, int64_t heads,
                            const real* d_product, const real* key, const real* weights, const real* d_reads,
                            int64_t width, int64_t slots, real* d_memory) {
    if (!weights)
        return matrix_gradient_of<1, false>(memory, norm, d_norm, d_product, key, nullptr, nullptr, width, slots, d_memory);
    for (int64_t r = 0; r < heads;) {
        const int64_t at = r * slots, key_at = r * width, left = heads - r;
        const auto pass = left >= 4   ? matrix_gradient_of<4, true>
                          : left >= 2 ? matrix_gradient_of<2, true>
                                      : matrix_gradient_of<1, true>;
        pass(memory, r ? nullptr : norm, d_norm, d_product + at, key + key_at, weights + at, d_reads + key_at, width,
             slots, d_memory);
        r += left >= 4 ? 4 : left >= 2 ? 2 : 1;
    }
}

}  // namespace kernels
