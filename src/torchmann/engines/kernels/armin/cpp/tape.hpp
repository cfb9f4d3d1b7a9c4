// The tape: what the forward pass leaves for the backward pass, and where each part of it lies.
#pragma once

#include "grouping.hpp"
#include "problem.hpp"

namespace armin {

// What a controller's step leaves: h before, the reads, tanh of the new state, and TARDIS's c before and after.
struct ControlRecord {
    real *h, *reads, *squashed, *c, *new_c;

    static int64_t size(const Sizes& s) { return (s.p.tardis ? 4 : 2) * s.wide_hidden + s.wide_reads; }
    ControlRecord(const Sizes& s, real* at)
        : h(at), reads(h + s.wide_hidden), squashed(reads + s.wide_reads), c(squashed + s.wide_hidden),
          new_c(c + s.wide_hidden) {}
};

// What a reading leaves: the softmax, the normalised logits, the tanh of the comparison, and the memory that was read,
// where it cannot be made anew from the entries.
struct LookRecord {
    real *soft, *hat, *compared, *memory, *numbers;

    static int64_t memory_size(const Sizes& s) { return s.p.keep && !s.one_slot ? s.memory : 0; }
    static int64_t size(const Sizes& s) {
        return 2 * s.wide_slots + s.shown + memory_size(s) + padding;
    }
    LookRecord(const Sizes& s, real* at)
        : soft(at), hat(soft + s.wide_slots), compared(hat + s.wide_slots), memory(compared + s.shown),
          numbers(memory + memory_size(s)) {}

    real& chosen() const { return numbers[0]; }       // the slot, if it was one
    real& usage_scale() const { return numbers[1]; }  // 1 / |u|
    real& norm_scale() const { return numbers[2]; }   // of the normalisation of the logits
};

// Pointers into the tape of one member. Without `keep` only the present step is held, and the size is the same whatever
// the kinds of the steps.
struct Tape {
    const Sizes& s;
    real *sees_[maps], *gates_[2], *entry_, *control_, *norm_, *write_, *look_;

    static int64_t steps(const Sizes& s, int64_t count) { return s.p.keep ? count : 1; }
    static int64_t norm_size(const Sizes& s) { return s.p.layer_norm ? s.units + padding : 0; }
    static int64_t write_size(const Sizes& s) { return s.p.keep && s.one_slot ? 1 : s.wide_slots; }

    // Numbers that one member takes.
    static int64_t size(const Sizes& s) {
        Plan plan{nullptr};
        Tape(s, plan);
        return plan.total;
    }

    Tape(const Sizes& s, int64_t member) : s(s) {
        Plan plan{s.p.tape + member * size(s)};
        take(plan);
    }

    // By step and row.
    real* sees(Weight map, int64_t t, int64_t b) const {
        return sees_[number_of(map)] + at(t, b) * s.of(map).padded_inputs;
    }
    real* gates(Weight map, int64_t t, int64_t b) const { return gates_[map == SECOND] + at(t, b) * s.of(map).columns; }
    real* entry(int64_t t, int64_t b) const { return entry_ + at(t, b) * s.wide_width; }
    ControlRecord control(int64_t t, int64_t b) const { return {s, control_ + at(t, b) * ControlRecord::size(s)}; }
    // x_hat of each group of gates and of the new h, and behind them one over the deviation of each.
    real* norm(int64_t t, int64_t b) const { return norm_ + at(t, b) * norm_size(s); }
    // The slot written, -1 for none; or the weighting.
    real* write(int64_t t, int64_t b) const { return write_ + at(t, b) * write_size(s); }
    // By number of the step among those that read.
    LookRecord look(int64_t number, int64_t b) const { return {s, look_ + at(number, b) * LookRecord::size(s)}; }

  private:
    Tape(const Sizes& s, Plan& plan) : s(s) { take(plan); }

    int64_t at(int64_t step, int64_t b) const { return (s.p.keep ? step : 0) * s.B + b; }

    void take(Plan& plan) {
        const int64_t rows = steps(s, s.T) * s.B;
        for (int m = 0; m < number_of(SHOWN); m++) sees_[m] = plan.take(rows * s.map[m].padded_inputs);
        gates_[0] = plan.take(rows * s.of(FIRST).columns);
        gates_[1] = plan.take(rows * s.of(SECOND).columns);
        sees_[number_of(SHOWN)] = entry_ = plan.take(rows * s.wide_width);
        control_ = plan.take(rows * ControlRecord::size(s));
        norm_ = plan.take(rows * norm_size(s));
        write_ = plan.take(rows * write_size(s));
        look_ = plan.take(steps(s, s.read_steps) * s.B * LookRecord::size(s));
        plan.take(slack);
    }
};

// When a row ends and is reset, and how many steps have read before each step.
struct Timeline {
    const Sizes& s;
    const int8_t* reset;
    const int64_t *lengths, *reads_before;

    static int64_t size(const Sizes& s) { return s.T * int64_t(sizeof(int64_t) / sizeof(real)); }
    static void count(const Sizes& s, int64_t* reads_before) {
        for (int64_t t = 0, number = 0; t < s.T; t++) {
            reads_before[t] = number;
            number += (s.kind_of(t) & READS) != 0;
        }
    }

    Timeline(const Sizes& s, int64_t member, const int64_t* reads_before)
        : s(s), reset(s.p.reset ? s.p.reset + member * s.T * s.B : nullptr),
          lengths(s.p.lengths ? s.p.lengths + member * s.B : nullptr), reads_before(reads_before) {}

    bool resets(int64_t t, int64_t b) const { return reset && reset[t * s.B + b]; }
    // From there on row b only rests, or is reset.
    bool runs(int64_t t, int64_t b) const { return !lengths || t < lengths[b]; }
    bool reads(int64_t t, int64_t b) const { return (s.kind_of(t) & READS) && runs(t, b); }
    bool writes(int64_t t, int64_t b) const { return (s.kind_of(t) & WRITES) && runs(t, b); }
};

}  // namespace armin
