// Explicit vectors: arithmetic on `lanes` numbers at once, written once for every instruction set.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#ifndef KERNEL_REAL
#error "compile with -DKERNEL_REAL=float or -DKERNEL_REAL=double"
#endif

namespace kernels {

using real = KERNEL_REAL;
using integer = std::conditional_t<sizeof(real) == 4, int32_t, int64_t>;

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif
// Before a short loop over registers: unrolled early, or they would live in memory.
#define UNROLLED _Pragma("GCC unroll 16")

constexpr int lanes = vector_bytes / sizeof(real);
constexpr int padding = 16;  // every padded length is a multiple of this, and this a multiple of `lanes`

typedef real vec __attribute__((vector_size(vector_bytes)));
typedef integer ivec __attribute__((vector_size(vector_bytes)));
typedef real loose_vec __attribute__((vector_size(vector_bytes), aligned(sizeof(real))));

constexpr int64_t padded(int64_t size) { return (size + padding - 1) / padding * padding; }

inline vec load(const real* p) { return *reinterpret_cast<const vec*>(p); }
inline void store(real* p, vec v) { *reinterpret_cast<vec*>(p) = v; }
inline vec load_loose(const real* p) { return *reinterpret_cast<const loose_vec*>(p); }
inline void store_loose(real* p, vec v) { *reinterpret_cast<loose_vec*>(p) = v; }
inline vec splat(real x) { return x - vec{}; }

// The first `count` numbers at p, zero in the other lanes; and back.
inline vec load_part(const real* p, int64_t count) {
    if (count >= lanes) return load_loose(p);
    vec v{};
    if (count > 0) std::memcpy(&v, p, count * sizeof(real));
    return v;
}
inline void store_part(real* p, vec v, int64_t count) {
    if (count >= lanes) store_loose(p, v);
    else if (count > 0) std::memcpy(p, &v, count * sizeof(real));
}

template <int... I>
constexpr ivec lane_numbers_of(std::integer_sequence<int, I...>) { return ivec{I...}; }
constexpr ivec lane_numbers = lane_numbers_of(std::make_integer_sequence<int, lanes>{});

// -1 (all bits) in the lanes before `count`, 0 in the others.
inline ivec first_lanes(int64_t count) { return lane_numbers < static_cast<integer>(count > lanes ? lanes : count); }

inline vec larger(vec a, vec b) { return a > b ? a : b; }
inline vec clamped(vec x, real limit) {  // NaN stays NaN
    x = x > limit ? splat(limit) : x;
    return x < -limit ? splat(-limit) : x;
}

// Sums of neighbouring lanes, those of a before those of b.
template <int... I>
inline vec neighbours(vec a, vec b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (2 * I)...) + __builtin_shufflevector(a, b, (2 * I + 1)...);
}
inline vec neighbours(vec a, vec b) { return neighbours(a, b, std::make_integer_sequence<int, lanes>{}); }

// The sum over the lanes of each of `lanes` vectors, in one vector.
inline vec sums(const vec* v) {
    vec level[lanes];
    for (int i = 0; i < lanes / 2; i++) level[i] = neighbours(v[2 * i], v[2 * i + 1]);
    for (int count = lanes / 4; count >= 1; count /= 2)
        for (int i = 0; i < count; i++) level[i] = neighbours(level[2 * i], level[2 * i + 1]);
    return level[0];
}
// The lanes of a and b in turn: those of the lower halves, or of the upper.
template <int... I>
inline vec interleaved_low(vec a, vec b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (I % 2 * lanes + I / 2)...);
}
template <int... I>
inline vec interleaved_high(vec a, vec b, std::integer_sequence<int, I...>) {
    return __builtin_shufflevector(a, b, (I % 2 * lanes + lanes / 2 + I / 2)...);
}

// Row i and column j of `lanes` vectors change places; by interleaving the two halves as often as halving takes.
inline void transpose(vec* rows) {
    constexpr auto all = std::make_integer_sequence<int, lanes>{};
    for (int left = lanes; left > 1; left /= 2) {
        vec next[lanes];
        for (int i = 0; i < lanes / 2; i++) {
            next[2 * i] = interleaved_low(rows[i], rows[i + lanes / 2], all);
            next[2 * i + 1] = interleaved_high(rows[i], rows[i + lanes / 2], all);
        }
        for (int i = 0; i < lanes; i++) rows[i] = next[i];
    }
}

inline real sum(vec v) {
    for (int width = lanes; width > 1; width /= 2) v = neighbours(v, v);
    return v[0];
}
inline real largest(vec v) {
    real most = v[0];
    for (int i = 1; i < lanes; i++) most = v[i] > most ? v[i] : most;
    return most;
}

// e^x - 1 and 2^k, with x = k ln 2 + r and |r| <= ln 2 / 2: returns p = e^r - 1 and the scale 2^k.
inline vec reduced_expm1(vec x, vec& scale) {
    constexpr bool is_float = sizeof(real) == 4;
    constexpr int mantissa = is_float ? 23 : 52;
    constexpr real magic = is_float ? real(12582912.0) : real(6755399441055744.0);  // 1.5 * 2^mantissa: rounds
    constexpr real ln2_high = is_float ? real(0.693359375) : real(0.693145751953125);
    constexpr real ln2_low = real(0.693147180559945309417232L - (is_float ? 0.693359375L : 0.693145751953125L));
    const vec shifted = x * real(1.44269504088896340736) + magic;
    const vec k = shifted - magic;
    const vec r = (x - k * ln2_high) - k * ln2_low;
    const ivec one = (ivec)splat(1);
    scale = (vec)(one + ((ivec)shifted << mantissa));
    constexpr real inverse_factorial[] = {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040,
                                          1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800,
                                          1.0 / 479001600, 1.0 / 6227020800.0};
    constexpr int degree = is_float ? 7 : 13;
    vec p = splat(inverse_factorial[degree]);
    for (int i = degree - 1; i >= 1; i--) p = p * r + inverse_factorial[i];
    return p * r;
}

constexpr real lowest_exponent = sizeof(real) == 4 ? -87 : -708;
constexpr real highest_exponent = sizeof(real) == 4 ? 88 : 709;

inline vec exp(vec x) {
    x = x < lowest_exponent ? splat(lowest_exponent) : x;
    x = x > highest_exponent ? splat(highest_exponent) : x;
    vec scale;
    const vec p = reduced_expm1(x, scale);
    return scale * p + scale;
}

// ln x for x > 0: x = 2^k m with m near 1, ln m = 2 artanh((m - 1) / (m + 1)); NaN stays NaN.
inline vec log(vec x) {
    constexpr bool is_float = sizeof(real) == 4;
    constexpr int mantissa = is_float ? 23 : 52;
    constexpr real ln2_high = is_float ? real(0.693359375) : real(0.693145751953125);
    constexpr real ln2_low = real(0.693147180559945309417232L - (is_float ? 0.693359375L : 0.693145751953125L));
    const ivec root_half = (ivec)splat(real(0.70710678118654752440));
    const ivec above = (ivec)x - root_half;
    const ivec k = above >> mantissa;
    const vec m = (vec)((ivec)x - (k << mantissa)), s = (m - 1) / (m + 1), square = s * s;
    constexpr int terms = is_float ? 5 : 11;
    vec series = splat(real(1.0) / (2 * terms - 1));
    for (int i = terms - 2; i >= 0; i--) series = series * square + real(1.0) / (2 * i + 1);
    const vec exponent = __builtin_convertvector(k, vec);
    const vec value = exponent * ln2_high + (2 * s * series + exponent * ln2_low);
    return x == x ? value : x;
}

// a / b, zero where b is.
inline vec ratio(vec a, vec b) { return b == 0 ? vec{} : a / b; }

inline vec sigmoid(vec x) { return 1 / (1 + exp(-x)); }
inline vec tanh(vec x) {  // (e^2x - 1) / (e^2x + 1), exact to rounding near zero too
    const vec twice = clamped(2 * x, sizeof(real) == 4 ? 19 : 40);
    vec scale;
    const vec p = reduced_expm1(twice, scale);
    const vec expm1 = scale * p + (scale - 1);
    return expm1 / (expm1 + 2);
}
inline real softplus(real x) { return (x > 0 ? x : 0) + std::log1p(std::exp(x > 0 ? -x : x)); }
inline real sigmoid(real x) { return 1 / (1 + std::exp(-x)); }

inline void fill(real* p, int64_t count, real value = 0) {
    for (int64_t i = 0; i < count; i++) p[i] = value;
}
inline void copy(real* to, const real* from, int64_t count) { std::memcpy(to, from, count * sizeof(real)); }
inline void add_to(real* to, const real* from, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] += from[i];
}

// Fill `to` [rows, padded] from `from` [rows, count], and the padding with zeros.
inline void pad_rows(real* to, const real* from, int64_t rows, int64_t count, int64_t wide) {
    for (int64_t i = 0; i < rows; i++) {
        if (from) copy(to + i * wide, from + i * count, count);
        else fill(to + i * wide, count);
        fill(to + i * wide + count, wide - count);
    }
}
inline void unpad_rows(real* to, const real* from, int64_t rows, int64_t count, int64_t wide) {
    for (int64_t i = 0; i < rows; i++) copy(to + i * count, from + i * wide, count);
}
inline void add_unpadded(real* to, const real* from, int64_t rows, int64_t count, int64_t wide) {
    if (!to) return;
    for (int64_t i = 0; i < rows; i++) add_to(to + i * count, from + i * wide, count);
}

// Numbers too small for the exponent become zero on this thread while the guard lives: they cost hundreds of cycles.
class FlushTiny {
#if defined(__SSE2__)
    unsigned before = __builtin_ia32_stmxcsr();

  public:
    FlushTiny() { __builtin_ia32_ldmxcsr(before | 0x8040); }
    ~FlushTiny() { __builtin_ia32_ldmxcsr(before); }
#else
  public:
    FlushTiny() {}
#endif
};

}  // namespace kernels
