// The state of one row as the kernel holds it, slot after slot, every vector padded; and its gradient. With the memory
// goes what its slots show to a comparison, W_m M + W_k key: it is linear in M, so that a write to M is one to it, too.
#pragma once

#include "problem.hpp"

namespace armin {

struct RowState {
    const Sizes& s;
    real *h, *c, *reads, *memory, *weights, *usage, *shown, *numbers;

    static int64_t size(const Sizes& s) {
        return 2 * s.wide_hidden + s.wide_reads + s.memory + 2 * s.wide_slots + s.shown + padding;
    }
    RowState(const Sizes& s, real* at)
        : s(s), h(at), c(h + s.wide_hidden), reads(c + s.wide_hidden), memory(reads + s.wide_reads),
          weights(memory + s.memory), usage(weights + s.wide_slots), shown(usage + s.wide_slots),
          numbers(shown + s.shown) {}

    real& filled() const { return numbers[0]; }  // slots that hold an entry
    real& chosen() const { return numbers[1]; }  // the slot that was read last, if it was one

    void clear() const { fill(h, size(s)); }

    // Row `row` of all members' rows, from the leaves; null: zero.
    void load(const real* const* leaves_, int64_t row) const {
        each([&](int leaf, real* at, int64_t rows, int64_t count, int64_t wide) {
            pad_rows(at, leaves_[leaf] ? leaves_[leaf] + row * rows * count : nullptr, rows, count, wide);
        });
        chosen() = 0;
    }
    void put(real* const* leaves_, int64_t row) const {
        each([&](int leaf, real* at, int64_t rows, int64_t count, int64_t wide) {
            if (leaves_[leaf]) unpad_rows(leaves_[leaf] + row * rows * count, at, rows, count, wide);
        });
    }
    void add(real* const* leaves_, int64_t row) const {
        each([&](int leaf, real* at, int64_t rows, int64_t count, int64_t wide) {
            if (leaves_[leaf]) add_unpadded(leaves_[leaf] + row * rows * count, at, rows, count, wide);
        });
    }

  private:
    template <class Action>
    void each(const Action& action) const {
        action(H, h, 1, s.hidden, s.wide_hidden);
        action(C, c, 1, s.hidden, s.wide_hidden);
        action(LAST_READS, reads, 1, s.reads, s.wide_reads);
        action(MEMORY, memory, s.slots, s.width, s.wide_width);
        action(READ_WEIGHTS, weights, 1, s.slots, s.wide_slots);
        action(FILLED, numbers, 1, 1, 1);
        action(USAGE, usage, 1, s.slots, s.wide_slots);
    }
};

}  // namespace armin
