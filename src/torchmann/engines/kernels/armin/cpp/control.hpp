// The controllers: ARMIN's cell and TARDIS's LSTM, between and after their two maps, for one row at one step.
#pragma once

#include "activations.hpp"
#include "normalisation.hpp"
#include "state.hpp"
#include "tape.hpp"

namespace armin {

// (1 - w) from + w to, exactly `from` at zero and `to` at one.
inline real mixed(real from, real to, real w) {
    return w < real(0.5) ? from + w * (to - from) : to - (1 - w) * (to - from);
}

// What the controllers find of weights that are no maps', over the steps of a group of rows.
struct ControlGradients {
    real *gain, *shift, *peephole;  // [units] each, [3, wide_hidden]

    static int64_t size(const Sizes& s) { return 2 * s.units + 3 * s.wide_hidden; }
    ControlGradients(const Sizes& s, real* at) : gain(at), shift(gain + s.units), peephole(shift + s.units) {}
};

class Control {
  public:
    static int64_t scratch_size(const Sizes& s) { return 3 * s.wide_hidden + s.wide_reads; }

    Control(const Sizes& s, const Tape& tape, int64_t member, int64_t t, int64_t b)
        : s(s), p(s.p), member(member), row(s.row(member, t, b)), first(tape.gates(FIRST, t, b)),
          second(tape.gates(SECOND, t, b)), scaled(tape.sees(SECOND, t, b)), norm(tape.norm(t, b)),
          kept(tape.control(t, b)) {}

    // Note h, c and the reads before the step.
    void begin(const RowState& state) const {
        copy(kept.h, state.h, s.wide_hidden);
        copy(kept.reads, state.reads, s.wide_reads);
        if (p.tardis) copy(kept.c, state.c, s.wide_hidden);
    }

    // After the first map: what the second sees.
    void scale() const {
        real *to_reads = scaled + p.input, *to_h = to_reads + s.reads;
        copy(scaled, p.x + row * p.input, p.input);
        fill(to_h + s.hidden, s.of(SECOND).padded_inputs - s.of(SECOND).inputs);
        if (p.tardis) {
            real* gate = first + s.of(FIRST).at[3];
            const real* noise = s.noise(GATE_NOISE, row, 2);
            for (int i = 0; i < 2; i++)
                gate[i] = sigmoid((gate[i] + (noise ? noise[i] : 0)) / real(p.gate_temperature));
            for (int64_t i = 0; i < s.reads; i++) to_reads[i] = gate[1] * kept.reads[i];
            for (int64_t i = 0; i < s.hidden; i++) to_h[i] = gate[0] * kept.h[i];
            return;
        }
        normalise_groups(OF_FIRST, 2, first, s.of(FIRST).at);
        const real* gate_reads = first + s.of(FIRST).at[1];
        map(first, s.of(FIRST).columns, [](vec z) { return sigmoid(z); });
        for (int64_t i = 0; i < s.reads; i++) to_reads[i] = gate_reads[i] * kept.reads[i];
        for (int64_t i = 0; i < s.hidden; i++) to_h[i] = first[i] * kept.h[i];
    }

    // After the second map: the new state and the output.
    void update(const RowState& state, real* output) const {
        if (p.tardis) update_tardis(state, output);
        else update_armin(state, output);
    }

    // From the gradients of the output (null: zero) and, in d, of the state after: to those of what the maps gave, as
    // far as this does not depend on what the second saw. d becomes that of the state before, without the way through
    // the maps.
    void update_backward(const real* d_output, const RowState& d, real* d_first, real* d_second,
                         const ControlGradients& found, real* scratch) const {
        fill(d_first, s.of(FIRST).columns);
        if (p.tardis) update_tardis_backward(d_output, d, d_first, d_second, found, scratch);
        else update_armin_backward(d_output, d, d_second, found, scratch);
    }

    // From the gradients of what the second map saw, of its reads on, to those of what the first gave.
    void scale_backward(const real* d_reads, const RowState& d, real* d_first, const ControlGradients& found) const {
        const real* d_h = d_reads + s.reads;
        if (p.tardis) {
            const real* gate = first + s.of(FIRST).at[3];
            real d_gate[2] = {};
            for (int64_t i = 0; i < s.hidden; i++) {
                d_gate[0] += d_h[i] * kept.h[i];
                d.h[i] += gate[0] * d_h[i];
            }
            for (int64_t i = 0; i < s.reads; i++) {
                d_gate[1] += d_reads[i] * kept.reads[i];
                d.reads[i] += gate[1] * d_reads[i];
            }
            for (int i = 0; i < 2; i++)
                d_first[s.of(FIRST).at[3] + i] = d_gate[i] * gate[i] * (1 - gate[i]) / real(p.gate_temperature);
            return;
        }
        const int64_t at = s.of(FIRST).at[1];
        gate_backward(s.hidden, first, kept.h, d_h, d_first, d.h);
        gate_backward(s.reads, first + at, kept.reads, d_reads, d_first + at, d.reads);
        normalise_groups_backward(OF_FIRST, 2, d_first, s.of(FIRST).at, found);
    }

  private:
    const Sizes& s;
    const Problem& p;
    const int64_t member, row;
    real *first, *second, *scaled, *norm;
    const ControlRecord kept;

    // Of gate * value.
    static void gate_backward(int64_t count, const real* gate, const real* value, const real* d, real* d_gate,
                              real* d_value) {
        for (int64_t i = 0; i < count; i++) {
            d_gate[i] = d[i] * value[i] * gate[i] * (1 - gate[i]);
            d_value[i] += gate[i] * d[i];
        }
    }

    // `count` vectors from number `begin` on, which lie at places `at` of `values`; nothing without layer norm.
    void normalise_groups(int begin, int count, real* values, const int64_t* at) const {
        if (!p.layer_norm) return;
        const real *gain = s.weight(GAIN, member, s.norm_size), *shift = s.weight(SHIFT, member, s.norm_size);
        for (int q = 0; q < count; q++) {
            const Normed& group = s.normed[begin + q];
            if (!group.size) continue;
            real *hat = norm + group.at, *to = values + at[q];
            copy(hat, to, padded(group.size));
            norm[s.units + begin + q] = normalise(hat, group.size, padded(group.size), norm_epsilon);
            for (int64_t i = 0; i < group.size; i++) to[i] = hat[i] * gain[group.unit + i] + shift[group.unit + i];
        }
    }
    void normalise_groups_backward(int begin, int count, real* d, const int64_t* at,
                                   const ControlGradients& found) const {
        if (!p.layer_norm) return;
        for (int q = 0; q < count; q++) {
            const Normed& group = s.normed[begin + q];
            if (!group.size) continue;
            normalise_backward(d + at[q], norm + group.at, norm[s.units + begin + q],
                               s.weight(GAIN, member, s.norm_size) + group.unit, group.size, padded(group.size),
                               found.gain + group.at, found.shift + group.at);
        }
    }

    // Zoneout: `state` becomes a mixture of what it was and of the new values.
    void zone(Noise mask_of, double keep, const real* before, real* state) const {
        if (keep == 1) return;
        const real* mask = s.noise(mask_of, row, s.hidden);
        for (int64_t j = 0; j < s.hidden; j++) state[j] = mixed(before[j], state[j], mask ? mask[j] : real(keep));
    }
    // d becomes the gradient of the state before, d_new is set to that of the new values.
    void zone_backward(Noise mask_of, double keep, real* d, real* d_new) const {
        copy(d_new, d, s.wide_hidden);
        if (keep == 1) return fill(d, s.wide_hidden);
        const real* mask = s.noise(mask_of, row, s.hidden);
        for (int64_t j = 0; j < s.hidden; j++) {
            const real share = mask ? mask[j] : real(keep);
            d_new[j] *= share, d[j] *= 1 - share;
        }
    }

    void update_armin(const RowState& state, real* output) const {
        static constexpr int64_t alone[] = {0};
        const int64_t H = s.wide_hidden;
        normalise_groups(OF_SECOND, 5, second, s.of(SECOND).at);
        for (int64_t j = 0; j < H; j += lanes) {
            const vec i = sigmoid(load(second + j)), f = sigmoid(load(second + H + j));
            const vec g = tanh(load(second + 2 * H + j));
            store(second + j, i), store(second + H + j, f), store(second + 2 * H + j, g);
            store(second + 3 * H + j, sigmoid(load(second + 3 * H + j)));
            store(state.h + j, f * load(kept.h + j) + i * g);
        }
        normalise_groups(OF_STATE, 1, state.h, alone);
        for (int64_t j = 0; j < H; j += lanes) {
            const vec squashed = tanh(load(state.h + j));
            store(kept.squashed + j, squashed);
            store_part(output + j, load(second + 3 * H + j) * squashed, s.hidden - j);
            if (p.squash_state) store(state.h + j, squashed);
        }
        if (p.output_reads) {
            real* gate = second + 4 * H;
            for (int64_t j = 0; j < s.wide_reads; j += lanes) {
                const vec o = sigmoid(load(gate + j)), r = load(kept.reads + j);
                store(gate + j, o);
                store_part(output + s.hidden + j, o * (p.squash_reads ? tanh(r) : r), s.reads - j);
            }
        }
        zone(KEPT_H, p.keep_h, kept.h, state.h);
    }

    void update_armin_backward(const real* d_output, const RowState& d, real* d_second, const ControlGradients& found,
                               real* scratch) const {
        static constexpr int64_t alone[] = {0};
        const int64_t H = s.wide_hidden;
        real *d_shown = scratch, *d_new = scratch + H, *d_shown_reads = scratch + 2 * H;
        pad_rows(d_shown, d_output, 1, s.hidden, H);
        zone_backward(KEPT_H, p.keep_h, d.h, d_new);
        for (int64_t j = 0; j < H; j += lanes) {
            const vec o = load(second + 3 * H + j), squashed = load(kept.squashed + j), shown = load(d_shown + j);
            const vec d_squashed = shown * o + (p.squash_state ? load(d_new + j) : vec{});
            store(d_new + j, (p.squash_state ? vec{} : load(d_new + j)) + d_squashed * tanh_slope(squashed));
            store(d_second + 3 * H + j, shown * squashed * sigmoid_slope(o));
        }
        if (p.output_reads) {
            const real* gate = second + 4 * H;
            pad_rows(d_shown_reads, d_output ? d_output + s.hidden : nullptr, 1, s.reads, s.wide_reads);
            for (int64_t j = 0; j < s.wide_reads; j += lanes) {
                const vec o = load(gate + j), r = load(kept.reads + j), shown = p.squash_reads ? tanh(r) : r;
                const vec d_r = load(d_shown_reads + j);
                store(d_second + 4 * H + j, d_r * shown * sigmoid_slope(o));
                store(d.reads + j, load(d.reads + j) + d_r * o * (p.squash_reads ? tanh_slope(shown) : splat(1)));
            }
        }
        normalise_groups_backward(OF_STATE, 1, d_new, alone, found);
        for (int64_t j = 0; j < H; j += lanes) {
            const vec i = load(second + j), f = load(second + H + j), g = load(second + 2 * H + j);
            const vec d_h = load(d_new + j);
            store(d_second + j, d_h * g * sigmoid_slope(i));
            store(d_second + H + j, d_h * load(kept.h + j) * sigmoid_slope(f));
            store(d_second + 2 * H + j, d_h * i * tanh_slope(g));
            store(d.h + j, load(d.h + j) + d_h * f);
        }
        normalise_groups_backward(OF_SECOND, 5, d_second, s.of(SECOND).at, found);
    }

    // Row `gate` of the peepholes, i, f or o, from unit j on; zero without.
    vec peephole(int64_t gate, int64_t j) const {
        const real* from = s.weight(PEEPHOLE, member, 3 * s.hidden);
        return from ? load_part(from + gate * s.hidden + j, s.hidden - j) : vec{};
    }

    void update_tardis(const RowState& state, real* output) const {
        const int64_t H = s.wide_hidden;
        for (int64_t j = 0; j < H; j += lanes) {
            const vec before = load(kept.c + j), g = tanh(load(second + j));
            const vec i = sigmoid(load(first + j) + peephole(0, j) * before);
            const vec f = sigmoid(load(first + H + j) + peephole(1, j) * before);
            const vec c = f * before + i * g, squashed = tanh(c);
            const vec o = sigmoid(load(first + 2 * H + j) + peephole(2, j) * c);
            store(first + j, i), store(first + H + j, f), store(first + 2 * H + j, o), store(second + j, g);
            store(kept.new_c + j, c), store(kept.squashed + j, squashed);
            store(state.c + j, c), store(state.h + j, o * squashed);
        }
        if (!p.zoned_output) copy(output, state.h, s.hidden);
        zone(KEPT_H, p.keep_h, kept.h, state.h);
        zone(KEPT_C, p.keep_c, kept.c, state.c);
        if (p.zoned_output) copy(output, state.h, s.hidden);
    }

    void update_tardis_backward(const real* d_output, const RowState& d, real* d_first, real* d_second,
                                const ControlGradients& found, real* scratch) const {
        const int64_t H = s.wide_hidden;
        real *d_h = scratch, *d_c = scratch + H;
        if (d_output && p.zoned_output) add_to(d.h, d_output, s.hidden);
        zone_backward(KEPT_H, p.keep_h, d.h, d_h);
        zone_backward(KEPT_C, p.keep_c, d.c, d_c);
        if (d_output && !p.zoned_output) add_to(d_h, d_output, s.hidden);
        for (int64_t j = 0; j < H; j += lanes) {
            const vec i = load(first + j), f = load(first + H + j), o = load(first + 2 * H + j), g = load(second + j);
            const vec before = load(kept.c + j), squashed = load(kept.squashed + j), d_new_h = load(d_h + j);
            const vec d_o = d_new_h * squashed * sigmoid_slope(o);
            const vec d_new_c = load(d_c + j) + d_new_h * o * tanh_slope(squashed) + peephole(2, j) * d_o;
            const vec d_i = d_new_c * g * sigmoid_slope(i), d_f = d_new_c * before * sigmoid_slope(f);
            store(d_first + j, d_i), store(d_first + H + j, d_f), store(d_first + 2 * H + j, d_o);
            store(d_second + j, d_new_c * i * tanh_slope(g));
            store(d.c + j, load(d.c + j) + d_new_c * f + peephole(0, j) * d_i + peephole(1, j) * d_f);
            if (!p.weight[PEEPHOLE]) continue;
            const vec along[] = {d_i * before, d_f * before, d_o * load(kept.new_c + j)};
            for (int q = 0; q < 3; q++)
                store(found.peephole + q * H + j, load(found.peephole + q * H + j) + along[q]);
        }
    }
};

}  // namespace armin
