// The entry points of a kernel, which are the same for all: sizes, forward, backward.
#pragma once

#include <cstdint>

#define EXPORTED extern "C" __attribute__((visibility("default")))

// In the namespace `of`: Problem, Sizes, Tape, ForwardPlan, BackwardPlan, forward and backward.
// kernel_problem_bytes: by which a caller checks that it fills in the same fields.
// kernel_sizes: numbers that the tape of all members and the scratch of either pass take.
#define KERNEL_ENTRY_POINTS(of)                                             \
    EXPORTED int64_t kernel_problem_bytes() { return sizeof(of::Problem); } \
    EXPORTED void kernel_sizes(const of::Problem* p, int64_t* sizes) {      \
        const of::Sizes s(*p);                                              \
        of::Problem counting = *p;                                          \
        counting.scratch = nullptr;                                         \
        sizes[0] = p->members * of::Tape::size(s);                          \
        sizes[1] = of::ForwardPlan(counting).total;                         \
        sizes[2] = of::BackwardPlan(counting).total;                        \
    }                                                                       \
    EXPORTED void kernel_forward(const of::Problem* p) { of::forward(*p); } \
    EXPORTED void kernel_backward(const of::Problem* p) { of::backward(*p); }
