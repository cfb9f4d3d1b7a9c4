// States as the caller has them and as the kernel holds them: slots padded, memory width-major.
#pragma once

#include "tape.hpp"

namespace ntm {

// The leaves of one row in a set of tensors; null where there is none.
struct Row {
    const Sizes& s;
    int64_t row;  // member * B + b

    template <class Real>
    Real* at(Real* const* tensors, int leaf) const {
        return tensors[leaf] ? tensors[leaf] + row * size(leaf) : nullptr;
    }

  private:
    int64_t size(int leaf) const {
        switch (leaf) {
            case LAST_READS: return s.read_size;
            case MEMORY: return s.levels * s.slots * s.width;
            case READ_WEIGHTS: return s.reads * s.slots;
            case WRITE_WEIGHTS: return s.written * s.slots;
            default: return s.hidden;
        }
    }
};

// Of a row what the step before hands on besides the memory: h and c of each layer, and the last reads; or gradients.
struct Running {
    const Sizes& s;
    real* at;

    static int64_t size(const Sizes& s) { return 2 * s.layers * s.padded_hidden + s.padded_reads; }
    ControllerState state(int64_t layer) const {
        real* h = at + 2 * layer * s.padded_hidden;
        return {h, h + s.padded_hidden};
    }
    real* reads() const { return at + 2 * s.layers * s.padded_hidden; }

    void start(const real* const* leaves_, const Row& row) const {
        for (int64_t layer = 0; layer < s.layers; layer++) {
            pad_rows(state(layer).h, row.at(leaves_, H + layer), 1, s.hidden, s.padded_hidden);
            pad_rows(state(layer).c, row.at(leaves_, C + layer), 1, s.hidden, s.padded_hidden);
        }
        pad_rows(reads(), row.at(leaves_, LAST_READS), 1, s.read_size, s.padded_reads);
    }
    void finish(real* const* leaves_, const Row& row) const {
        for (int64_t layer = 0; layer < s.layers; layer++) {
            copy(row.at(leaves_, H + layer), state(layer).h, s.hidden);
            if (real* c = row.at(leaves_, C + layer)) copy(c, state(layer).c, s.hidden);
        }
        copy(row.at(leaves_, LAST_READS), reads(), s.read_size);
    }
    void add(real* const* leaves_, const Row& row) const {
        for (int64_t layer = 0; layer < s.layers; layer++) {
            add_unpadded(row.at(leaves_, H + layer), state(layer).h, 1, s.hidden, s.padded_hidden);
            add_unpadded(row.at(leaves_, C + layer), state(layer).c, 1, s.hidden, s.padded_hidden);
        }
        add_unpadded(row.at(leaves_, LAST_READS), reads(), 1, s.read_size, s.padded_reads);
    }
};

// All levels of a row's memory.
inline void widen_levels(const Sizes& s, real* to, const real* from) {
    for (int64_t level = 0; level < s.levels; level++)
        widen_memory(to + level * s.matrix, from ? from + level * s.slots * s.width : nullptr, s.slots, s.width,
                     s.padded_slots);
}

// Fill a row's home (0 the given state, 1 the fresh one).
inline void make_home(const Tape& tape, const real* const* leaves_, int64_t fresh, const Row& row, int64_t b) {
    const Sizes& s = tape.s;
    const MemoryRecord home = tape.home_memory(fresh, b);
    widen_levels(s, home.memory, row.at(leaves_, MEMORY));
    for (int64_t level = 0; level < s.levels; level++)
        norms(home.memory + level * s.matrix, s.width, s.padded_slots, s.similarity,
              home.norm + level * s.padded_slots);
    pad_rows(tape.home_read(fresh, b), row.at(leaves_, READ_WEIGHTS), s.reads, s.slots, s.padded_slots);
    pad_rows(tape.home_write(fresh, b), row.at(leaves_, WRITE_WEIGHTS), s.written, s.slots, s.padded_slots);
}

}  // namespace ntm
