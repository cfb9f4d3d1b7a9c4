// The forward pass of some rows of one member over the whole sequence.
#pragma once

#include "addressing.hpp"
#include "maps.hpp"

namespace armin {

class Forward {
  public:
    static int64_t scratch_size(const Sizes& s, int64_t rows) {
        return rows * (RowState::size(s) + s.of(ADDRESS).columns + s.wide_query) + s.wide_slots;
    }

    Forward(const Sizes& s, const Timeline& time, const ForwardMaps& to, const Group& group, real* scratch)
        : s(s), p(s.p), time(time), to(to), group(group), tape(s, group.member), states(scratch),
          addresses(states + group.rows * RowState::size(s)),
          shown(addresses + group.rows * s.of(ADDRESS).columns), compared_logits(shown + group.rows * s.wide_query) {}

    void run() {
        each([&](int64_t r, int64_t b) { start(r, b, p.state); });
        for (int64_t t = 0; t < s.T; t++) step(t);
        each([&](int64_t r, int64_t b) { state(r).put(p.final, group.member * s.B + b); });
    }

  private:
    const Sizes& s;
    const Problem& p;
    const Timeline& time;
    const ForwardMaps& to;
    const Group group;
    const Tape tape;
    real *states, *addresses, *shown, *compared_logits;

    template <class Action>
    void each(const Action& action) const {
        for (int64_t r = 0; r < group.rows; r++) action(r, group.first + r);
    }
    RowState state(int64_t r) const { return {s, states + r * RowState::size(s)}; }
    const real* x(int64_t t, int64_t b) const { return p.x + s.row(group.member, t, b) * p.input; }
    void apply(Weight map, int64_t t, real* gives) const {
        to.apply(map, group.rows, tape.sees(map, t, group.first), s.of(map).padded_inputs, gives);
    }

    void start(int64_t r, int64_t b, const real* const* leaves_) const {
        const RowState at = state(r);
        at.load(leaves_, group.member * s.B + b);
        if (!s.query) return;
        to.apply(SHOWN, s.slots, at.memory, s.wide_width, at.shown);
        const real* keyed = s.weight(KEYED, group.member, s.slots * s.query);
        for (int64_t n = 0; n < s.slots; n++) add_to(at.shown + n * s.wide_query, keyed + n * s.query, s.query);
    }

    void step(int64_t t) {
        each([&](int64_t r, int64_t b) {
            if (time.resets(t, b)) start(r, b, p.fresh);
        });
        each([&](int64_t r, int64_t b) { ask(t, r, b); });
        if (s.kind_of(t) & READS) {
            apply(ADDRESS, t, addresses);
            each([&](int64_t r, int64_t b) {
                if (time.runs(t, b)) look(t, r, b, addresses + r * s.of(ADDRESS).columns);
            });
        }
        each([&](int64_t r, int64_t b) { see(t, r, b); });
        apply(FIRST, t, tape.gates(FIRST, t, group.first));
        each([&](int64_t, int64_t b) {
            if (time.runs(t, b)) Control(s, tape, group.member, t, b).scale();
            else fill(tape.sees(SECOND, t, b), s.of(SECOND).padded_inputs);
        });
        apply(SECOND, t, tape.gates(SECOND, t, group.first));
        each([&](int64_t r, int64_t b) { update(t, r, b); });
        write(t);
    }

    // What the address is made from.
    void ask(int64_t t, int64_t r, int64_t b) const {
        real* seen = tape.sees(ADDRESS, t, b);
        if (!time.reads(t, b)) return fill(seen, s.of(ADDRESS).padded_inputs);
        const RowState from = state(r);
        copy(seen, x(t, b), p.input);
        copy(seen + p.input, p.by_cell ? from.c : from.h, s.hidden);
        if (s.query) {
            real& scale = tape.look(time.reads_before[t], b).usage_scale();
            scale = unit_scale(from.usage, s.wide_slots);
            for (int64_t n = 0; n < s.slots; n++) seen[p.input + s.hidden + n] = from.usage[n] * scale;
        }
        fill(seen + s.of(ADDRESS).inputs, s.of(ADDRESS).padded_inputs - s.of(ADDRESS).inputs);
    }

    // Choose a slot, or weights for all, and read.
    void look(int64_t t, int64_t r, int64_t b, real* address) const {
        const LookRecord kept = tape.look(time.reads_before[t], b);
        const RowState at = state(r);
        real* logits = s.query ? compared_logits : address;
        if (s.query) {
            compare(s, to.score, address, at.shown, kept.compared, logits);
            if (p.penalise_first) penalise(logits, at.weights);
            normalise_logits(s, group.member, logits, kept);
            if (!p.penalise_first) penalise(logits, at.weights);
        }
        const real* noise = s.noise(ADDRESS_NOISE, s.row(group.member, t, b), s.slots);
        if (noise) add_to(logits, noise, s.slots);
        if (p.keep || !p.one_hot)
            softmax(logits, 1 / *s.weight(TEMPERATURE, group.member, 1), s.slots, s.wide_slots, kept.soft);
        if (LookRecord::memory_size(s)) copy(kept.memory, at.memory, s.memory);
        const real* keys = s.weight(KEYS, group.member, s.slots * p.key);
        if (p.one_hot) {
            const int64_t slot = largest_slot(logits, s.slots);
            kept.chosen() = at.chosen() = slot;
            fill(at.weights, s.slots);
            at.weights[slot] = 1;
            if (keys) copy(at.reads, keys + slot * p.key, p.key);
            copy(at.reads + p.key, at.memory + slot * s.wide_width, s.width);
        } else {
            copy(at.weights, kept.soft, s.wide_slots);
            if (keys) read_rows(keys, at.weights, s.slots, p.key, p.key, at.reads);
            read_rows(at.memory, at.weights, s.slots, s.width, s.wide_width, at.reads + p.key);
        }
        if (s.query) add_to(at.usage, at.weights, s.slots);
    }
    void penalise(real* logits, const real* last_read) const {
        for (int64_t n = 0; n < s.slots; n++) logits[n] -= real(p.penalty) * last_read[n];
    }

    // What the controller's first map sees: [x; reads; h], zeros behind a row's end.
    void see(int64_t t, int64_t r, int64_t b) const {
        real* seen = tape.sees(FIRST, t, b);
        const Map& map = s.of(FIRST);
        real* read = p.output[READ_VECTORS] + s.row(group.member, t, b) * s.reads;
        if (!time.runs(t, b)) {
            fill(seen, map.padded_inputs);
            return fill(read, s.reads);
        }
        const RowState from = state(r);
        copy(seen, x(t, b), p.input);
        copy(seen + p.input, from.reads, s.reads);
        copy(seen + p.input + s.reads, from.h, s.hidden);
        fill(seen + map.inputs, map.padded_inputs - map.inputs);
        copy(read, from.reads, s.reads);
        Control(s, tape, group.member, t, b).begin(from);
    }

    void update(int64_t t, int64_t r, int64_t b) const {
        real* output = p.output[CONTROLLER_OUTPUT] + s.row(group.member, t, b) * s.output;
        if (time.runs(t, b)) Control(s, tape, group.member, t, b).update(state(r), output);
        else fill(output, s.output);
    }

    void write(int64_t t) const {
        const Map& map = s.of(ENTRY);
        const bool mapped = map.outputs, used = s.kind_of(t) & WRITES;
        each([&](int64_t r, int64_t b) {
            const bool writes = time.writes(t, b);
            if (!mapped || !used) pad_rows(tape.entry(t, b), writes ? state(r).h : nullptr, 1, s.width, s.wide_width);
            if (!mapped) return;
            real* seen = tape.sees(ENTRY, t, b);
            if (!writes) return fill(seen, map.padded_inputs);
            copy(seen, x(t, b), map.from_x);
            copy(seen + map.from_x, state(r).h, s.hidden);
            fill(seen + map.inputs, map.padded_inputs - map.inputs);
        });
        if (!used) return;
        if (mapped) apply(ENTRY, t, tape.entry(t, group.first));
        if (s.query) apply(SHOWN, t, shown);
        each([&](int64_t r, int64_t b) {
            if (time.writes(t, b)) write_row(tape.entry(t, b), shown + r * s.wide_query, state(r), tape.write(t, b));
        });
    }

    // To the next empty slot, or where the last reading was; notes where.
    void write_row(const real* entry, const real* shows, const RowState& at, real* where) const {
        const real* keyed = s.weight(KEYED, group.member, s.slots * s.query);
        const bool full = !(at.filled() < s.slots);
        const int64_t next = !full && at.filled() >= 0 ? int64_t(at.filled()) : -1;
        at.filled() = full ? s.slots : at.filled() + 1;
        if (s.one_slot) {
            const int64_t slot = full ? int64_t(at.chosen()) : next;
            where[0] = slot;
            if (slot < 0) return;
            copy(at.memory + slot * s.wide_width, entry, s.width);
            real* shown_now = at.shown + slot * s.wide_query;
            for (int64_t q = 0; q < s.query; q++) shown_now[q] = shows[q] + keyed[slot * s.query + q];
            return;
        }
        if (full) copy(where, at.weights, s.wide_slots);
        else {
            fill(where, s.wide_slots);
            if (next >= 0) where[next] = 1;
        }
        write_rows(at.memory, where, entry, nullptr, s.slots, s.width, s.wide_width);
        if (s.query) write_rows(at.shown, where, shows, keyed, s.slots, s.query, s.wide_query);
    }
};

}  // namespace armin
