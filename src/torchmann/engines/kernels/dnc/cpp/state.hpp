// States as the caller has them and as the kernel holds them: slots padded, memory width-major.
#pragma once

#include "controller.hpp"
#include "tape.hpp"

namespace dnc {

// The number of one row's (and block's) numbers in each leaf.
inline int64_t leaf_size(const Sizes& s, int leaf) {
    switch (leaf) {
        case H: case C: return s.hidden;
        case LAST_READS: return s.read_size;
        case MEMORY: return s.slots * s.width;
        case READ_WEIGHTS: return s.heads * s.slots;
        case LINK: return s.slots * s.slots;
        default: return s.slots;
    }
}

// The leaves of one row (and block) in a set of tensors; null where there is none.
struct Row {
    const Sizes& s;
    int64_t row;  // member * B + b

    template <class Real>
    Real* at(Real* const* tensors, int leaf, int64_t block = 0) const {
        const int64_t blocks = leaf >= MEMORY ? s.blocks : 1;
        return tensors[leaf] ? tensors[leaf] + (row * blocks + block) * leaf_size(s, leaf) : nullptr;
    }
};

inline void widen_link(const Sizes& s, real* to, const real* from) {
    if (!s.link) return;
    fill(to, s.link);
    pad_rows(to, from, s.slots, s.slots, s.padded_slots);
}

// The controller's part of a row: h, c and the last reads.
inline void start_controller(const Sizes& s, const real* const* leaves_, int64_t row, ControllerState state,
                             real* reads) {
    const Row at{s, row};
    pad_rows(state.h, at.at(leaves_, H), 1, s.hidden, s.padded_hidden);
    pad_rows(state.c, at.at(leaves_, C), 1, s.hidden, s.padded_hidden);
    pad_rows(reads, at.at(leaves_, LAST_READS), 1, s.read_size, s.padded_reads);
}

// The memory's part of a row: fill its home (0 the given state, 1 the fresh one).
inline void make_home(const Tape& tape, const real* const* leaves_, int64_t fresh, int64_t member, int64_t b) {
    const Sizes& s = tape.s;
    const Row at{s, member * s.B + b};
    const int64_t N = s.padded_slots;
    for (int64_t block = 0; block < s.blocks; block++) {
        const WriteRecord home = tape.home_write(fresh, b, block);
        real* memory = tape.home_memory(fresh, b, block);
        widen_memory(memory, at.at(leaves_, MEMORY, block), s.slots, s.width, N);
        widen_link(s, memory + s.memory, at.at(leaves_, LINK, block));
        pad_rows(home.usage, at.at(leaves_, USAGE, block), 1, s.slots, N);
        pad_rows(home.weights, at.at(leaves_, WRITE_WEIGHTS, block), 1, s.slots, N);
        pad_rows(home.precedence, at.at(leaves_, PRECEDENCE, block), 1, s.slots, N);
        pad_rows(tape.home_read_weights(fresh, b, block), at.at(leaves_, READ_WEIGHTS, block), s.heads, s.slots, N);
        norms(memory, s.width, N, s.similarity, home.norm);
    }
}

}  // namespace dnc
