// Temporal links (Graves et al. 2016, "Temporal memory linkage"). L[i][j] is high if i was written right after j.
#pragma once

#include "vec.hpp"
#include "problem.hpp"

namespace dnc {

// Heads that one pass over the links takes along.
constexpr int most_heads = lanes >= 8 ? 4 : 1;

// Forget and extend the links, and follow them from where `Heads` heads read last:
//   L[i][j] = (1 - w[i] - w[j]) L[i][j] + w[i] p[j],  L[i][i] = 0        (if Write, in place)
//   forward[r][i] = sum_j L[i][j] wr[r][j],  backward[r][j] = sum_i L[i][j] wr[r][i]
// Rows go in blocks that fill one vector with their sums; `backward` must be zero before.
template <int Heads, bool Write>
inline void link_pass(real* link, const real* write, const real* precedence, const real* read, int64_t slots,
                      real* forward, real* backward) {
    constexpr int rows = Heads ? lanes / Heads : lanes;
    for (int64_t i = 0; i < slots; i += rows) {
        vec total[lanes] = {};
        for (int64_t j = 0; j < slots; j += lanes) {
            vec w{}, p{}, wr[Heads + 1], back[Heads + 1];
            if (Write) w = 1 - load(write + j), p = load(precedence + j);
            UNROLLED
            for (int r = 0; r < Heads; r++) {
                wr[r] = load(read + r * slots + j);
                back[r] = load(backward + r * slots + j);
            }
            const bool diagonal = Write && j < i + rows && i < j + lanes;
            UNROLLED
            for (int k = 0; k < rows; k++) {
                real* at = link + (i + k) * slots + j;
                vec l = load(at);
                if (Write) {
                    l = (w - write[i + k]) * l + write[i + k] * p;
                    if (diagonal) l = lane_numbers == (integer)(i + k - j) ? vec{} : l;
                    store(at, l);
                }
                UNROLLED
                for (int r = 0; r < Heads; r++) {
                    total[r * rows + k] += l * wr[r];
                    back[r] += l * read[r * slots + i + k];
                }
            }
            UNROLLED
            for (int r = 0; r < Heads; r++) store(backward + r * slots + j, back[r]);
        }
        if (Heads == 0) continue;
        alignas(vector_bytes) real each[lanes];
        store(each, sums(total));
        UNROLLED
        for (int r = 0; r < Heads; r++) copy(forward + r * slots + i, each + r * rows, rows);
    }
}

template <bool Write>
inline void link_pass_of(int64_t heads, real* link, const real* write, const real* precedence, const real* read,
                         int64_t slots, real* forward, real* backward) {
    if (heads == 4) link_pass<most_heads, Write>(link, write, precedence, read, slots, forward, backward);
    else if (heads == 2) link_pass<most_heads == 4 ? 2 : 1, Write>(link, write, precedence, read, slots, forward, backward);
    else if (heads == 1) link_pass<1, Write>(link, write, precedence, read, slots, forward, backward);
    else link_pass<0, Write>(link, write, precedence, read, slots, forward, backward);
}

inline int64_t heads_together(int64_t left) { return left >= 4 && most_heads == 4 ? 4 : left >= 2 && most_heads == 4 ? 2 : left >= 1; }

// The links of a step that does not follow them; may be in place.
inline void extend_links(const real* before, const real* write, const real* precedence, int64_t slots, real* link) {
    for (int64_t i = 0; i < slots; i++) {
        const real mine = write[i];
        for (int64_t j = 0; j < slots; j += lanes) {
            const vec l = load(before + i * slots + j);
            store(link + i * slots + j, (1 - load(write + j) - mine) * l + mine * load(precedence + j));
        }
        link[i * slots + i] = 0;
    }
}

// All of `link_pass` for any number of heads; `updates` says whether the links change.
inline void links_forward(real* link, bool updates, const real* write, const real* precedence, const real* read,
                          int64_t heads, int64_t slots, real* forward, real* backward) {
    fill(backward, heads * slots);
    int64_t done = heads_together(heads);
    if (updates) link_pass_of<true>(done, link, write, precedence, read, slots, forward, backward);
    else if (done) link_pass_of<false>(done, link, write, precedence, read, slots, forward, backward);
    while (done < heads) {
        const int64_t now = heads_together(heads - done), at = done * slots;
        link_pass_of<false>(now, link, write, precedence, read + at, slots, forward + at, backward + at);
        done += now;
    }
}

// What the backward of the links is made of. `d_read` is the gradient of the read weightings of this step, [R, N]; with
// a head's modes back_r and ahead_r, those of its products are back_r d_read[r] and ahead_r d_read[r].
struct LinkBackward {
    const real *after, *before;              // L of this step and of the one before
    const real *write, *precedence, *read;   // w of this step, p and wr of the one before
    const real* d_read;
    real *d_link, *d_write, *d_precedence;   // d_link becomes that of the step before, the others are added to
    real *along, *against;                   // (L^T d_read)[r][j] and (L d_read)[r][i], zero before
    real *scaled;                            // scratch [2, R, N]: ahead d_read and back wr
};

//   dL[i][j] += sum_r ahead_r d_read[r][i] wr[r][j] + back_r wr[r][i] d_read[r][j]
//   along[r][j] += L[i][j] d_read[r][i],  against[r][i] += L[i][j] d_read[r][j]      (L is made anew from L')
//   d_write[i] += dL[i][j] (p[j] - L'[i][j]),  d_write[j] -= dL[i][j] L'[i][j],  d_precedence[j] += dL[i][j] w[i]
//   dL'[i][j] = dL[i][j] (1 - w[i] - w[j])                  (the last two lines if Write, and then dL[i][i] = 0)
template <int Heads, bool Write>
inline void link_backward_pass(const LinkBackward& g, int64_t head, int64_t heads, int64_t slots) {
    constexpr int rows = Heads == 0 ? lanes : lanes / (2 * Heads) ? lanes / (2 * Heads) : 1;
    const real *read = g.read + head * slots, *d_read = g.d_read + head * slots;
    const real *ahead = g.scaled + head * slots, *back = g.scaled + (heads + head) * slots;
    real *along = g.along + head * slots, *against = g.against + head * slots;
    const real *link = Write ? g.before : g.after, *write = g.write, *precedence = g.precedence;
    real *d_link = g.d_link, *d_write = g.d_write, *d_precedence = g.d_precedence;
    for (int64_t i = 0; i < slots; i += rows) {
        vec total[lanes] = {};
        for (int64_t j = 0; j < slots; j += lanes) {
            vec wr[Heads + 1], dr[Heads + 1], sum_along[Heads + 1], w{}, p{}, dw{}, dp{};
            UNROLLED
            for (int r = 0; r < Heads; r++) {
                wr[r] = load(read + r * slots + j), dr[r] = load(d_read + r * slots + j);
                sum_along[r] = load(along + r * slots + j);
            }
            if (Write) {
                w = 1 - load(write + j), p = load(precedence + j);
                dw = load(d_write + j), dp = load(d_precedence + j);
            }
            const bool diagonal = Write && j < i + rows && i < j + lanes;
            UNROLLED
            for (int k = 0; k < rows; k++) {
                const int64_t at = (i + k) * slots + j;
                vec d = load(d_link + at);
                UNROLLED
                for (int r = 0; r < Heads; r++) {
                    d += ahead[r * slots + i + k] * wr[r];
                    d += back[r * slots + i + k] * dr[r];
                }
                if (diagonal) d = lane_numbers == (integer)(i + k - j) ? vec{} : d;
                vec l = load(link + at);
                if (Write) {
                    const real mine = write[i + k];
                    const vec kept = w - mine;
                    total[Heads * rows + k] += d * (p - l);
                    dw -= d * l;
                    dp += d * mine;
                    d *= kept;
                    l = kept * l + mine * p;  // now L of this step
                    if (diagonal) l = lane_numbers == (integer)(i + k - j) ? vec{} : l;
                }
                UNROLLED
                for (int r = 0; r < Heads; r++) {
                    sum_along[r] += l * d_read[r * slots + i + k];
                    total[r * rows + k] += l * dr[r];
                }
                store(d_link + at, d);
            }
            UNROLLED
            for (int r = 0; r < Heads; r++) store(along + r * slots + j, sum_along[r]);
            if (Write) store(d_write + j, dw), store(d_precedence + j, dp);
        }
        alignas(vector_bytes) real each[lanes];
        store(each, sums(total));
        UNROLLED
        for (int r = 0; r < Heads; r++) add_to(against + r * slots + i, each + r * rows, rows);
        if (Write) add_to(d_write + i, each + Heads * rows, rows);
    }
}

template <bool Write>
inline void link_backward_of(int64_t count, const LinkBackward& g, int64_t head, int64_t heads, int64_t slots) {
    if (count == 4) link_backward_pass<most_heads, Write>(g, head, heads, slots);
    else if (count == 2) link_backward_pass<most_heads == 4 ? 2 : 1, Write>(g, head, heads, slots);
    else if (count == 1) link_backward_pass<1, Write>(g, head, heads, slots);
    else link_backward_pass<0, Write>(g, head, heads, slots);
}

// The heads beyond the first few go first, so that the pass that also writes sees the whole gradient.
inline void links_backward(const LinkBackward& g, bool updates, int64_t heads, int64_t slots) {
    int64_t left = heads;
    while (left > heads_together(left)) {
        const int64_t now = heads_together(left);
        link_backward_of<false>(now, g, left - now, heads, slots);
        left -= now;
    }
    if (updates) link_backward_of<true>(left, g, 0, heads, slots);
    else if (left) link_backward_of<false>(left, g, 0, heads, slots);
}

}  // namespace dnc
