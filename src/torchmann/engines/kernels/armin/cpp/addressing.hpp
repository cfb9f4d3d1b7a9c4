// Which slot is read: the comparison of the slots, the normalisation of its logits, the choice; and their gradients.
#pragma once

#include "content.hpp"
#include "control.hpp"

namespace armin {

// to[n] = rows[n] . key for `count` rows, with zeros behind them.
inline void match_rows(const real* rows, const real* key, int64_t count, int64_t wide, real* to) {
    fill(to, padded(count));
    for (int64_t n = 0; n < count; n += lanes) {
        vec parts[lanes] = {};
        for (int64_t i = 0; i < std::min<int64_t>(lanes, count - n); i++)
            for (int64_t w = 0; w < wide; w += lanes) parts[i] += load(rows + (n + i) * wide + w) * load(key + w);
        store(to + n, sums(parts));
    }
}

// compared[n] = tanh(common + shown[n]), scores[n] = v . compared[n].
inline void compare(const Sizes& s, const real* score, const real* common, const real* shown, real* compared,
                    real* scores) {
    for (int64_t n = 0; n < s.slots; n++)
        for (int64_t q = 0; q < s.wide_query; q += lanes)
            store(compared + n * s.wide_query + q, tanh(load(common + q) + load(shown + n * s.wide_query + q)));
    match_rows(compared, score, s.slots, s.wide_query, scores);
}

// d_shown is added to, d_common [wide_query] set, d_score added to.
inline void compare_backward(const Sizes& s, const real* score, const real* compared, const real* d_scores,
                             real* d_shown, real* d_common, real* d_score) {
    fill(d_common, s.wide_query);
    for (int64_t n = 0; n < s.slots; n++)
        for (int64_t q = 0; q < s.wide_query; q += lanes) {
            const int64_t at = n * s.wide_query + q;
            const vec y = load(compared + at), d = d_scores[n] * load(score + q) * (1 - y * y);
            store(d_score + q, load(d_score + q) + d_scores[n] * y);
            store(d_shown + at, load(d_shown + at) + d);
            store(d_common + q, load(d_common + q) + d);
        }
}

// The factor that gives a vector length one; zero stays zero.
inline real unit_scale(const real* vector, int64_t wide) {
    return 1 / std::sqrt(dot(vector, vector, wide) + real(1e-12));
}

// Of y = scale x: d becomes scale (d - y (y . d)).
inline void unit_backward(real* d, const real* y, real scale, int64_t wide) {
    const real along = dot(d, y, wide);
    for (int64_t n = 0; n < wide; n += lanes) store(d + n, scale * (load(d + n) - along * load(y + n)));
}

// The logits, in place: normalised over the slots. Keeps x_hat and the scale.
inline void normalise_logits(const Sizes& s, int64_t member, real* logits, const LookRecord& look) {
    if (s.p.normalisation == NONE) return;
    copy(look.hat, logits, s.wide_slots);
    if (s.p.normalisation == LAYER_NORM) {
        const real *gain = s.weight(NORM_GAIN, member, s.slots), *shift = s.weight(NORM_SHIFT, member, s.slots);
        look.norm_scale() = normalise(look.hat, s.slots, s.wide_slots, norm_epsilon);
        for (int64_t n = 0; n < s.slots; n++) logits[n] = look.hat[n] * gain[n] + shift[n];
        return;
    }
    look.norm_scale() = unit_scale(logits, s.wide_slots);
    for (int64_t n = 0; n < s.slots; n++) logits[n] = look.hat[n] *= look.norm_scale();
}

inline void normalise_logits_backward(const Sizes& s, int64_t member, real* d, const LookRecord& look, real* d_gain,
                                      real* d_shift) {
    if (s.p.normalisation == LAYER_NORM)
        normalise_backward(d, look.hat, look.norm_scale(), s.weight(NORM_GAIN, member, s.slots), s.slots, s.wide_slots,
                           d_gain, d_shift);
    else if (s.p.normalisation == UNIT) unit_backward(d, look.hat, look.norm_scale(), s.wide_slots);
}

// The slot with the largest logit, the first of equal ones.
inline int64_t largest_slot(const real* logits, int64_t slots) {
    int64_t best = 0;
    for (int64_t n = 1; n < slots; n++)
        if (logits[n] > logits[best]) best = n;
    return best;
}

// r = sum over n of w[n] rows[n], for `count` numbers of each row.
inline void read_rows(const real* rows, const real* weights, int64_t slots, int64_t count, int64_t stride, real* to) {
    fill(to, count);
    for (int64_t n = 0; n < slots; n++)
        for (int64_t w = 0; w < count; w++) to[w] += weights[n] * rows[n * stride + w];
}

// d_rows[n] += w[n] d_r.
inline void read_rows_backward(const real* d_read, const real* weights, int64_t slots, int64_t count, int64_t stride,
                               real* d_rows) {
    for (int64_t n = 0; n < slots; n++)
        for (int64_t w = 0; w < count; w++) d_rows[n * stride + w] += weights[n] * d_read[w];
}

// rows[n] becomes (1 - w[n]) rows[n] + w[n] (entry + own[n]), at a weight of one exactly the latter; `own` may be null.
inline void write_rows(real* rows, const real* weights, const real* entry, const real* own, int64_t slots,
                       int64_t count, int64_t stride) {
    for (int64_t n = 0; n < slots; n++) {
        const real w = weights[n];
        if (w == 0) continue;
        for (int64_t i = 0; i < count; i++) {
            real& at = rows[n * stride + i];
            const real to = entry[i] + (own ? own[n * count + i] : 0);
            at = mixed(at, to, w);
        }
    }
}

// d_rows becomes (1 - w[n]) d_rows[n]; d_entry is set, d_own (in rows as wide as those) added to, if there is one.
inline void write_rows_backward(real* d_rows, const real* weights, real* d_entry, real* d_own, int64_t slots,
                                int64_t stride) {
    fill(d_entry, stride);
    for (int64_t n = 0; n < slots; n++) {
        const real w = weights[n];
        if (w == 0) continue;
        for (int64_t i = 0; i < stride; i++) {
            const real weighted = w * d_rows[n * stride + i];
            d_entry[i] += weighted;
            if (d_own) d_own[n * stride + i] += weighted;
            d_rows[n * stride + i] -= weighted;
        }
    }
}

}  // namespace armin
