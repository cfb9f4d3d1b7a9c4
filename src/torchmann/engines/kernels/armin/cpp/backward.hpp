// The backward pass of some rows of one member over the whole sequence, last step first.
#pragma once

#include "forward.hpp"
#include "replay.hpp"

namespace armin {

// What a group of rows finds of weights that are no maps', over its steps.
struct Found {
    int64_t wide_key;
    ControlGradients control;
    real *score, *norm_gain, *norm_shift, *keyed, *keys;
    real* shown;  // [Q, wide_width], by the slots that a row started with

    static int64_t size(const Sizes& s) {
        return ControlGradients::size(s) + s.wide_query + 2 * s.wide_slots + s.shown + s.slots * padded(s.p.key) +
               s.query * s.wide_width;
    }
    Found(const Sizes& s, real* at)
        : wide_key(padded(s.p.key)), control(s, at), score(at + ControlGradients::size(s)),
          norm_gain(score + s.wide_query), norm_shift(norm_gain + s.wide_slots), keyed(norm_shift + s.wide_slots),
          keys(keyed + s.shown), shown(keys + s.slots * wide_key) {}
};

class Backward {
  public:
    static int64_t scratch_size(const Sizes& s, int64_t rows) {
        return rows * (RowState::size(s) + BackwardMaps::most_columns(s) + s.wide_width + Replay::row_size(s)) +
               Control::scratch_size(s) + 2 * s.wide_slots + s.wide_width;
    }

    Backward(const Sizes& s, const Timeline& time, const BackwardMaps& from, const Group& group,
             const MapGradients& gives, const Found& found, real* scratch)
        : s(s), p(s.p), time(time), from(from), group(group), tape(s, group.member), gives(gives), found(found),
          states(scratch), d_seen(states + group.rows * RowState::size(s)),
          d_entries(d_seen + group.rows * BackwardMaps::most_columns(s)), one(d_entries + group.rows * s.wide_width),
          d_weights(one + Control::scratch_size(s)), d_unit(d_weights + s.wide_slots), d_read(d_unit + s.wide_slots),
          replay(tape, time, this->group, d_read + s.wide_width) {}

    void run() {
        each([&](int64_t r, int64_t b) {
            state(r).clear();  // of what slots show, too, which the caller does not know of
            state(r).load(p.d_final, group.member * s.B + b);
            if (s.one_slot) replay.begin(r, s.T);
        });
        for (int64_t t = s.T - 1; t >= 0; t--) step(t);
        each([&](int64_t r, int64_t b) { hand_over(r, b, p.state, p.d_state); });
    }

  private:
    const Sizes& s;
    const Problem& p;
    const Timeline& time;
    const BackwardMaps& from;
    const Group group;
    const Tape tape;
    const MapGradients& gives;
    const Found& found;
    real *states, *d_seen, *d_entries, *one, *d_weights, *d_unit, *d_read;
    const Replay replay;

    template <class Action>
    void each(const Action& action) const {
        for (int64_t r = 0; r < group.rows; r++) action(r, group.first + r);
    }
    RowState state(int64_t r) const { return {s, states + r * RowState::size(s)}; }  // its gradient
    real* d_x(int64_t t, int64_t b) const { return p.d_x ? p.d_x + s.row(group.member, t, b) * p.input : nullptr; }
    const real* given(Output which, int64_t t, int64_t b, int64_t size) const {
        return p.d_output[which] ? p.d_output[which] + s.row(group.member, t, b) * size : nullptr;
    }

    // The gradient of what a map saw, from that of what it gave: where each row's begins behind the input, which takes
    // its part.
    void apply(Weight map, int64_t t) const {
        from.apply(map, group.rows, gives.at(map, t, group.first), d_seen, BackwardMaps::columns(s, map));
    }
    const real* behind_input(Weight map, int64_t t, int64_t r, int64_t b) const {
        const real* d = d_seen + r * BackwardMaps::columns(s, map);
        if (p.d_x) add_to(d_x(t, b), d, s.of(map).from_x);
        return d + s.of(map).from_x - BackwardMaps::first(s, map);
    }

    void step(int64_t t) {
        each([&](int64_t, int64_t b) {
            if (p.d_x) fill(d_x(t, b), p.input);
        });
        if (s.kind_of(t) & WRITES) write(t);
        else clear(t, {ENTRY, SHOWN});
        control(t);
        if (s.kind_of(t) & READS) look(t);
        else clear(t, {ADDRESS});
        each([&](int64_t r, int64_t b) {
            if (!time.resets(t, b)) return;
            hand_over(r, b, p.fresh, p.d_fresh);
            if (s.one_slot) replay.begin(r, t);
        });
    }
    // Add the gradient of a row's state to that of where it came from, and start from zero.
    void hand_over(int64_t r, int64_t b, const real* const* leaves_, real* const* d_leaves) const {
        const RowState d = state(r);
        const int64_t row = group.member * s.B + b;
        for (int64_t n = 0; s.query && n < s.slots; n++) {
            const real *memory = leaves_[MEMORY] + (row * s.slots + n) * s.width, *d_shown = d.shown + n * s.wide_query;
            add_to(found.keyed + n * s.wide_query, d_shown, s.wide_query);
            for (int64_t q = 0; q < s.query; q++)
                for (int64_t w = 0; w < s.width; w++) found.shown[q * s.wide_width + w] += d_shown[q] * memory[w];
            from.apply(SHOWN, 1, d_shown, d_read, s.wide_width);
            add_to(d.memory + n * s.wide_width, d_read, s.width);
        }
        d.add(d_leaves, row);
        d.clear();
    }
    void clear(int64_t t, std::initializer_list<Weight> which) const {
        for (Weight map : which) fill(gives.at(map, t, group.first), group.rows * s.of(map).columns);
    }

    void write(int64_t t) const {
        each([&](int64_t r, int64_t b) {
            real *d_entry = d_entries + r * s.wide_width, *d_shown = gives.at(SHOWN, t, b);
            fill(d_entry, s.wide_width);
            fill(d_shown, s.wide_query);
            if (!time.writes(t, b)) return;
            const RowState d = state(r);
            if (s.one_slot) {
                const int64_t slot = replay.written(t, b);
                replay.undo(r, t);
                if (slot < 0) return;
                move(d.memory + slot * s.wide_width, s.wide_width, d_entry);
                if (!s.query) return;
                move(d.shown + slot * s.wide_query, s.wide_query, d_shown);
                add_to(found.keyed + slot * s.wide_query, d_shown, s.wide_query);
            } else {
                write_rows_backward(d.memory, tape.write(t, b), d_entry, nullptr, s.slots, s.wide_width);
                if (!s.query) return;
                write_rows_backward(d.shown, tape.write(t, b), d_shown, found.keyed, s.slots, s.wide_query);
            }
        });
        if (s.query) {
            apply(SHOWN, t);
            each([&](int64_t r, int64_t b) {
                add_to(d_entries + r * s.wide_width, behind_input(SHOWN, t, r, b), s.width);
            });
        }
        if (!s.of(ENTRY).outputs)
            return each([&](int64_t r, int64_t) { add_to(state(r).h, d_entries + r * s.wide_width, s.hidden); });
        each([&](int64_t r, int64_t b) { copy(gives.at(ENTRY, t, b), d_entries + r * s.wide_width, s.wide_width); });
        apply(ENTRY, t);
        each([&](int64_t r, int64_t b) {
            const real* d = behind_input(ENTRY, t, r, b);
            if (time.writes(t, b)) add_to(state(r).h, d, s.hidden);
        });
    }
    // `count` numbers go over, and leave zeros.
    static void move(real* numbers, int64_t count, real* to) {
        copy(to, numbers, count);
        fill(numbers, count);
    }

    void control(int64_t t) const {
        each([&](int64_t r, int64_t b) {
            if (!time.runs(t, b)) {
                fill(gives.at(FIRST, t, b), s.of(FIRST).columns);
                return fill(gives.at(SECOND, t, b), s.of(SECOND).columns);
            }
            if (const real* d = given(READ_VECTORS, t, b, s.reads)) add_to(state(r).reads, d, s.reads);
            Control(s, tape, group.member, t, b)
                .update_backward(given(CONTROLLER_OUTPUT, t, b, s.output), state(r), gives.at(FIRST, t, b),
                                 gives.at(SECOND, t, b), found.control, one);
        });
        apply(SECOND, t);
        each([&](int64_t r, int64_t b) {
            const real* d = behind_input(SECOND, t, r, b);
            if (time.runs(t, b))
                Control(s, tape, group.member, t, b).scale_backward(d, state(r), gives.at(FIRST, t, b), found.control);
        });
        apply(FIRST, t);
        each([&](int64_t r, int64_t b) {
            const real* d = behind_input(FIRST, t, r, b);
            if (!time.runs(t, b)) return;
            add_to(state(r).reads, d, s.reads);
            add_to(state(r).h, d + s.reads, s.hidden);
        });
    }

    void look(int64_t t) const {
        each([&](int64_t r, int64_t b) {
            if (time.runs(t, b)) choose(t, r, b);
            else fill(gives.at(ADDRESS, t, b), s.of(ADDRESS).columns);
        });
        apply(ADDRESS, t);
        each([&](int64_t r, int64_t b) {
            const real* d = behind_input(ADDRESS, t, r, b);
            if (!time.runs(t, b)) return;
            const RowState to = state(r);
            add_to(p.by_cell ? to.c : to.h, d, s.hidden);
            if (!s.query) return;
            const real* unit = tape.sees(ADDRESS, t, b) + p.input + s.hidden;
            const real scale = tape.look(time.reads_before[t], b).usage_scale();
            pad_rows(d_unit, d + s.hidden, 1, s.slots, s.wide_slots);
            pad_rows(d_weights, unit, 1, s.slots, s.wide_slots);
            unit_backward(d_unit, d_weights, scale, s.wide_slots);
            add_to(to.usage, d_unit, s.slots);
        });
    }

    // From the gradient of what was read, and of the weighting itself, to that of the address.
    void choose(int64_t t, int64_t r, int64_t b) const {
        const RowState d = state(r);
        const LookRecord kept = tape.look(time.reads_before[t], b);
        const real* keys = s.weight(KEYS, group.member, s.slots * p.key);
        const int64_t slot = int64_t(kept.chosen());
        pad_rows(d_read, d.reads + p.key, 1, s.width, s.wide_width);
        match_rows(s.one_slot ? replay.memory(r) : kept.memory, d_read, s.slots, s.wide_width, d_weights);
        add_to(d_weights, d.weights, s.slots);
        if (s.query) add_to(d_weights, d.usage, s.slots);
        for (int64_t n = 0; n < s.slots; n++)
            for (int64_t k = 0; k < p.key; k++) d_weights[n] += keys[n * p.key + k] * d.reads[k];
        if (p.one_hot) {
            add_to(d.memory + slot * s.wide_width, d_read, s.width);
            add_to(found.keys + slot * found.wide_key, d.reads, p.key);
        } else {
            read_rows_backward(d_read, kept.soft, s.slots, s.width, s.wide_width, d.memory);
            read_rows_backward(d.reads, kept.soft, s.slots, p.key, found.wide_key, found.keys);
        }
        fill(d.reads, s.wide_reads);
        fill(d.weights, s.wide_slots);
        softmax_backward(kept.soft, d_weights, s.wide_slots, d_weights);
        const real inverse = 1 / *s.weight(TEMPERATURE, group.member, 1);
        for (int64_t n = 0; n < s.slots; n++) d_weights[n] *= inverse;
        if (!s.query) return copy(gives.at(ADDRESS, t, b), d_weights, s.wide_slots);
        if (!p.penalise_first) penalty_backward(d.weights);
        normalise_logits_backward(s, group.member, d_weights, kept, found.norm_gain, found.norm_shift);
        if (p.penalise_first) penalty_backward(d.weights);
        compare_backward(s, from.score, kept.compared, d_weights, d.shown, gives.at(ADDRESS, t, b), found.score);
    }
    void penalty_backward(real* d_last_read) const {
        if (!p.penalty_gradient) return;
        for (int64_t n = 0; n < s.slots; n++) d_last_read[n] -= real(p.penalty) * d_weights[n];
    }
};

}  // namespace armin
