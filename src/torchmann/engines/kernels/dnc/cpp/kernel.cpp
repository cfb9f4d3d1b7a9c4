// The entry points: plan the scratch, share the rows out among threads, pack weights, run.
#include "backward.hpp"
#include "entry.hpp"
#include "team.hpp"

namespace dnc {

struct ForwardPlan {
    Sizes s;
    Grouping grouping;
    int64_t *numbers, weights_size, thread_size, total;
    real *weights, *per_thread;

    explicit ForwardPlan(const Problem& p) : s(p), grouping(p.members, p.batch, p.threads) {
        Plan plan{p.scratch};
        numbers = reinterpret_cast<int64_t*>(plan.take(Timeline::size(s.T)));
        weights_size = padded(ForwardWeights::size(s));
        weights = plan.take(p.members * weights_size);
        thread_size = padded(Forward::scratch_size(s, grouping.rows));
        per_thread = plan.take(p.threads * thread_size);
        total = plan.total;
    }
};

struct BackwardPlan {
    Sizes s;
    Grouping grouping;
    int64_t *numbers, *step_of_write, weights_size, thread_size, gates_size, interface_size, total;
    real *weights, *d_gates, *d_interface, *d_norms, *per_thread;

    explicit BackwardPlan(const Problem& p) : s(p), grouping(p.members, p.batch, p.threads) {
        Plan plan{p.scratch};
        numbers = reinterpret_cast<int64_t*>(plan.take(Timeline::size(s.T)));
        step_of_write = reinterpret_cast<int64_t*>(plan.take(Timeline::size(s.T)));
        weights_size = padded(BackwardWeights::size(s));
        weights = plan.take(p.members * weights_size);
        gates_size = padded(s.T * s.B * s.controller.gates) + slack;
        d_gates = plan.take(p.members * gates_size);
        interface_size = padded(s.used * s.B * s.padded_interface) + slack;
        d_interface = plan.take(p.members * interface_size);
        d_norms = plan.take(grouping.groups * Backward::norms_size(s));
        thread_size = padded(std::max(Backward::scratch_size(s, grouping.rows), WeightGradients::scratch_size(s)));
        per_thread = plan.take(p.threads * thread_size);
        total = plan.total;
    }
};

void forward(const Problem& p) {
    const ForwardPlan plan(p);
    const Sizes& s = plan.s;
    Timeline::count(s.T, p.kinds, plan.numbers);
    share(p.threads, 2 * p.members, [&](int64_t part, int64_t) {
        const ForwardWeights weights(s, plan.weights + part / 2 * plan.weights_size);
        weights.pack(s, part / 2, part % 2);
    });
    share(p.threads, plan.grouping.groups, [&](int64_t number, int64_t slot) {
        const Group group = plan.grouping.group(number);
        const ForwardWeights weights(s, plan.weights + group.member * plan.weights_size);
        const Timeline time(p, group.member, plan.numbers);
        Forward(s, time, weights, group, plan.per_thread + slot * plan.thread_size).run();
    });
}

// Gains and shifts of layer normalisations: the sums of what the groups have found.
void norm_gradients(const BackwardPlan& plan, int64_t member) {
    const Sizes& s = plan.s;
    const int64_t H = s.padded_hidden, size = Backward::norms_size(s), groups = plan.grouping.per_member;
    const real* found = plan.d_norms + member * groups * size;
    const WantedGradients to{s.p.d_weight, member};
    sum_groups(to.at(GAIN, 5 * s.hidden), found, groups, size, 5, s.hidden);
    sum_groups(to.at(SHIFT, 5 * s.hidden), found + 5 * H, groups, size, 5, s.hidden);
    sum_groups(to.at(NORM_GAIN, s.hidden), found + 10 * H, groups, size, 1, s.hidden);
    sum_groups(to.at(NORM_SHIFT, s.hidden), found + 11 * H, groups, size, 1, s.hidden);
}

void backward(const Problem& p) {
    const BackwardPlan plan(p);
    const Sizes& s = plan.s;
    Timeline::count(s.T, p.kinds, plan.numbers);
    for (int64_t t = 0, number = 0; t < s.T; t++)
        if (s.kind_of(t) & WRITES) plan.step_of_write[number++] = t;
    const int64_t pieces = WeightGradients::pieces(s);
    share(p.threads, 2 * p.members, [&](int64_t part, int64_t) {
        const BackwardWeights weights(s, plan.weights + part / 2 * plan.weights_size);
        weights.pack(s, part / 2, part % 2);
    });
    share(p.threads, plan.grouping.groups, [&](int64_t number, int64_t slot) {
        const Group group = plan.grouping.group(number);
        const BackwardWeights weights(s, plan.weights + group.member * plan.weights_size);
        const Timeline time(p, group.member, plan.numbers);
        real* d_norms = plan.d_norms + number * Backward::norms_size(s);
        fill(d_norms, Backward::norms_size(s));
        Backward(s, time, plan.step_of_write, weights, group, plan.d_gates + group.member * plan.gates_size,
                 plan.d_interface + group.member * plan.interface_size, d_norms,
                 plan.per_thread + slot * plan.thread_size)
            .run();
    });
    share(p.threads, p.members * pieces, [&](int64_t piece, int64_t slot) {
        const int64_t member = piece / pieces;
        const Tape tape(s, member);
        const WeightGradients gradients{s, tape, member, plan.d_gates + member * plan.gates_size,
                                        plan.d_interface + member * plan.interface_size,
                                        plan.per_thread + slot * plan.thread_size};
        gradients.piece(piece % pieces);
    });
    share(p.threads, p.members, [&](int64_t member, int64_t) { norm_gradients(plan, member); });
}

}  // namespace dnc

KERNEL_ENTRY_POINTS(dnc)
