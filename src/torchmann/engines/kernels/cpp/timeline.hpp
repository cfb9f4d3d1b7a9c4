// The steps of a sequence: which of them use, write or read a memory, and what rows last wrote or read.
#pragma once

#include "vec.hpp"

namespace kernels {

enum StepKind : int8_t { HOLD = 0, READS = 1, WRITES = 2 };  // a dense step reads and writes

inline int8_t kind_at(const int8_t* kinds, int64_t t) { return kinds ? kinds[t] : READS | WRITES; }

// Where a row's memory comes from before a step: a record by its number, or a home.
struct Source {
    int64_t number;  // -1: home
    int64_t fresh;   // 1: the home of a reset row
};

// Numbers of steps among those that use, write and read, and what was last written and read before each.
struct Timeline {
    const int64_t T, B;
    const int8_t *kinds, *reset;
    const int64_t* lengths;
    int64_t* before;  // [3, T + 1]: used, written, read before step t

    static int64_t size(int64_t T) { return padded(3 * (T + 1) * sizeof(int64_t) / sizeof(real) + 1); }

    // Of one member; `numbers` are those that `count` has made.
    template <class Problem>
    Timeline(const Problem& p, int64_t member, int64_t* numbers)
        : T(p.steps), B(p.batch), kinds(p.kinds), reset(p.reset ? p.reset + member * T * B : nullptr),
          lengths(p.lengths ? p.lengths + member * B : nullptr), before(numbers) {}

    static void count(int64_t T, const int8_t* kinds, int64_t* before) {
        const int64_t n = T + 1;
        before[0] = before[n] = before[2 * n] = 0;
        for (int64_t t = 0; t < T; t++) {
            const int8_t kind = kind_at(kinds, t);
            before[t + 1] = before[t] + (kind != HOLD);
            before[n + t + 1] = before[n + t] + ((kind & WRITES) != 0);
            before[2 * n + t + 1] = before[2 * n + t] + ((kind & READS) != 0);
        }
    }

    int64_t used(int64_t t) const { return before[t]; }
    int64_t written(int64_t t) const { return before[T + 1 + t]; }
    int64_t read(int64_t t) const { return before[2 * (T + 1) + t]; }
    bool resets(int64_t t, int64_t b) const { return reset && reset[t * B + b]; }

    // Steps of row b: from there on it only rests, or is reset.
    int64_t end(int64_t b) const { return lengths ? lengths[b] : T; }

    // What row b last wrote (or read) before step t, a reset at t itself taken into account; a home if nothing since.
    Source last(int8_t what, int64_t t, int64_t b) const {
        return resets(t, b) ? Source{-1, 1} : after(what, t, b);
    }

    // The same for the state after `steps` steps.
    Source after(int8_t what, int64_t steps, int64_t b) const {
        const int64_t done = std::min(steps, end(b)), number = (what == WRITES ? written(done) : read(done)) - 1;
        if (reset)
            for (int64_t step = steps - 1; step >= 0 && !(step < done && (kind_at(kinds, step) & what)); step--)
                if (resets(step, b)) return {-1, 1};
        return {number, 0};
    }
};

}  // namespace kernels
