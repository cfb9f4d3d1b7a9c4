// The memory at each step of the backward pass, without a copy of it at any.
#pragma once

#include "tape.hpp"

namespace armin {

// The memory of each row where every write goes to one slot: made anew from the entries, at the end of the sequence and
// before each reset, and then undone write by write.
class Replay {
  public:
    static int64_t row_size(const Sizes& s) {
        return s.one_slot ? padded(s.memory + (s.T + s.slots + 1) * int64_t(sizeof(int64_t) / sizeof(real))) : 0;
    }

    Replay(const Tape& tape, const Timeline& time, const Group& group, real* at)
        : s(tape.s), tape(tape), time(time), group(group), rows(at) {}

    real* memory(int64_t r) const { return rows + r * row_size(s); }

    // The memory of row r before step `end`, without a reset at `end` itself.
    void begin(int64_t r, int64_t end) const {
        const int64_t b = group.first + r;
        int64_t first = end - 1;
        while (first >= 0 && !time.resets(first, b)) first--;
        after_reset(r) = first >= 0;
        pad_rows(memory(r), home(r), s.slots, s.width, s.wide_width);
        int64_t* last = previous(r) + s.T;  // write of each slot
        std::fill(last, last + s.slots, int64_t(-1));
        for (int64_t t = std::max<int64_t>(first, 0); t < end; t++) {
            const int64_t slot = written(t, b);
            if (slot < 0) continue;
            previous(r)[t] = last[slot];
            last[slot] = t;
            copy(row(r, slot), tape.entry(t, b), s.wide_width);
        }
    }

    // Take back the write of step t, if there was one.
    void undo(int64_t r, int64_t t) const {
        const int64_t b = group.first + r, slot = written(t, b);
        if (slot < 0) return;
        const int64_t before = previous(r)[t];
        if (before >= 0) copy(row(r, slot), tape.entry(before, b), s.wide_width);
        else pad_rows(row(r, slot), home(r) + slot * s.width, 1, s.width, s.wide_width);
    }

    // The slot that row b wrote at step t; -1 for none.
    int64_t written(int64_t t, int64_t b) const { return time.writes(t, b) ? int64_t(tape.write(t, b)[0]) : -1; }

  private:
    const Sizes& s;
    const Tape& tape;
    const Timeline& time;
    const Group& group;
    real* rows;

    // Of each step the write before it to the same slot; -1 for none.
    int64_t* previous(int64_t r) const { return reinterpret_cast<int64_t*>(memory(r) + s.memory); }
    int64_t& after_reset(int64_t r) const { return previous(r)[s.T + s.slots]; }
    real* row(int64_t r, int64_t slot) const { return memory(r) + slot * s.wide_width; }
    // Where row r came from.
    const real* home(int64_t r) const {
        const real* const* leaves_ = after_reset(r) ? s.p.fresh : s.p.state;
        return leaves_[MEMORY] + (group.member * s.B + group.first + r) * s.slots * s.width;
    }
};

}  // namespace armin
