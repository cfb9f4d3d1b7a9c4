// How the rows of a batch go to threads, and how a pass takes its scratch.
#pragma once

#include "vec.hpp"

namespace kernels {

constexpr int64_t most_rows = 8;  // that one thread takes through the sequence together: more would not fit its cache

// Rows [first, first + rows) of one member, which one thread takes through all steps.
struct Group {
    int64_t member, first, rows;
};

// How rows go in groups: enough groups for the threads, none of two members.
struct Grouping {
    int64_t batch, rows, per_member, groups;

    Grouping(int64_t members, int64_t batch, int64_t threads) : batch(batch) {
        const int64_t all = members * batch, each = threads < 2 ? all : (all + 2 * threads - 1) / (2 * threads);
        rows = std::max<int64_t>(1, std::min({each, batch, most_rows}));
        per_member = (batch + rows - 1) / rows;
        groups = per_member * members;
    }
    Group group(int64_t number) const {
        const int64_t first = number % per_member * rows;
        return {number / per_member, first, std::min(rows, batch - first)};
    }
};

// Hands out parts of a scratch one after the other; without a scratch it only counts.
struct Plan {
    real* scratch;
    int64_t total = 0;

    real* take(int64_t count) {
        real* at = scratch ? scratch + total : nullptr;
        total += padded(count);
        return at;
    }
};

// How far wide loads may run over the end of an array.
constexpr int64_t slack = 64;

}  // namespace kernels
