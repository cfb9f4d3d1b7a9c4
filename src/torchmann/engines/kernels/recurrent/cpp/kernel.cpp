// The entry points: plan the scratch, share the rows out among threads, pack weights, run.
#include "backward.hpp"
#include "entry.hpp"
#include "team.hpp"

namespace recurrent {

struct ForwardPlan {
    Sizes s;
    int64_t weights_size, thread_size, total;
    real *weights, *per_thread;

    explicit ForwardPlan(const Problem& p) : s(p) {
        Plan plan{p.scratch};
        weights_size = padded(ForwardWeights::size(s));
        weights = plan.take(p.members * weights_size);
        thread_size = padded(Forward::scratch_size(s, s.grouping.rows));
        per_thread = plan.take(p.threads * thread_size);
        total = plan.total;
    }
};

struct BackwardPlan {
    Sizes s;
    int64_t weights_size, thread_size, gates_size, total;
    real *weights, *d_gates, *d_norms, *per_thread;

    explicit BackwardPlan(const Problem& p) : s(p) {
        Plan plan{p.scratch};
        weights_size = padded(BackwardWeights::size(s));
        weights = plan.take(p.members * weights_size);
        gates_size = padded(s.T * s.B * s.cell.gates) + slack;
        d_gates = plan.take(p.members * gates_size);
        d_norms = plan.take(s.grouping.groups * Backward::norms_size(s));
        thread_size = padded(std::max(Backward::scratch_size(s, s.grouping.rows), gradient_scratch_size(s.cell.seen)));
        per_thread = plan.take(p.threads * thread_size);
        total = plan.total;
    }
};

void forward(const Problem& p) {
    const ForwardPlan plan(p);
    const Sizes& s = plan.s;
    share(p.threads, 2 * p.members, [&](int64_t part, int64_t) {
        ForwardWeights(s, part / 2, plan.weights + part / 2 * plan.weights_size).pack(part % 2);
    });
    share(p.threads, s.grouping.groups, [&](int64_t number, int64_t slot) {
        const Group group = s.grouping.group(number);
        const ForwardWeights weights(s, group.member, plan.weights + group.member * plan.weights_size);
        Forward(s, weights, group, plan.per_thread + slot * plan.thread_size).run();
    });
}

// Gains and shifts of the layer normalisations: the sums of what the groups have found.
void norm_gradients(const BackwardPlan& plan, int64_t member) {
    const Sizes& s = plan.s;
    const int64_t size = Backward::norms_size(s), groups = s.grouping.per_member, hidden = s.cell.hidden;
    const real* found = plan.d_norms + member * groups * size;
    const WantedGradients to{s.p.d_weight, member};
    sum_groups(to.at(GAIN, 5 * hidden), found, groups, size, 5, hidden);
    sum_groups(to.at(SHIFT, 5 * hidden), found + size / 2, groups, size, 5, hidden);
}

void backward(const Problem& p) {
    const BackwardPlan plan(p);
    const Sizes& s = plan.s;
    share(p.threads, 2 * p.members, [&](int64_t part, int64_t) {
        BackwardWeights(s, part / 2, plan.weights + part / 2 * plan.weights_size).pack(part % 2);
    });
    share(p.threads, s.grouping.groups, [&](int64_t number, int64_t slot) {
        const Group group = s.grouping.group(number);
        const BackwardWeights weights(s, group.member, plan.weights + group.member * plan.weights_size);
        real* d_norms = plan.d_norms + number * Backward::norms_size(s);
        fill(d_norms, Backward::norms_size(s));
        Backward(s, weights, group, plan.d_gates + group.member * plan.gates_size, d_norms,
                 plan.per_thread + slot * plan.thread_size)
            .run();
    });
    const int64_t pieces = gate_pieces(s.cell);
    share(p.threads, p.members * pieces, [&](int64_t piece, int64_t slot) {
        const int64_t member = piece / pieces;
        gate_gradient(s.cell, {p.d_weight, member}, piece % pieces, s.T * s.B, plan.d_gates + member * plan.gates_size,
                      Tape(s, member).seen_, plan.per_thread + slot * plan.thread_size);
    });
    share(p.threads, p.members, [&](int64_t member, int64_t) { norm_gradients(plan, member); });
}

}  // namespace recurrent

KERNEL_ENTRY_POINTS(recurrent)
