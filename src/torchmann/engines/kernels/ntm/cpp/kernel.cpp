// The entry points: plan the scratch, share the rows out among threads, pack weights, run.
#include "backward.hpp"
#include "entry.hpp"
#include "team.hpp"

namespace ntm {

struct ForwardPlan {
    Sizes s;
    Grouping grouping;
    int64_t *numbers, weights_size, thread_size, total;
    real *weights, *per_thread;

    explicit ForwardPlan(const Problem& p) : s(p), grouping(p.members, p.batch, p.threads) {
        Plan plan{p.scratch};
        numbers = reinterpret_cast<int64_t*>(plan.take(Timeline::size(s.T)));
        weights_size = ForwardWeights(s, nullptr).size;
        weights = plan.take(p.members * weights_size);
        thread_size = padded(Forward::scratch_size(s, grouping.rows));
        per_thread = plan.take(p.threads * thread_size);
        total = plan.total;
    }
    ForwardWeights weights_of(int64_t member) const { return {s, weights + member * weights_size}; }
};

struct BackwardPlan {
    Sizes s;
    Grouping grouping;
    int64_t *numbers, weights_size, kept_size, thread_size, total;
    real *weights, *kept, *found, *per_thread;

    explicit BackwardPlan(const Problem& p) : s(p), grouping(p.members, p.batch, p.threads) {
        Plan plan{p.scratch};
        numbers = reinterpret_cast<int64_t*>(plan.take(Timeline::size(s.T)));
        weights_size = BackwardWeights(s, nullptr).size;
        weights = plan.take(p.members * weights_size);
        kept_size = Kept(s, nullptr).size;
        kept = plan.take(p.members * kept_size);
        found = plan.take(grouping.groups * Backward::found_size(s));
        thread_size = padded(std::max(Backward::scratch_size(s, grouping.rows), WeightGradients::scratch_size(s)));
        per_thread = plan.take(p.threads * thread_size);
        total = plan.total;
    }
    BackwardWeights weights_of(int64_t member) const { return {s, weights + member * weights_size}; }
    Kept kept_of(int64_t member) const { return {s, kept + member * kept_size}; }
};

void forward(const Problem& p) {
    const ForwardPlan plan(p);
    const Sizes& s = plan.s;
    Timeline::count(s.T, p.kinds, plan.numbers);
    const int64_t parts = weight_parts(s);
    share(p.threads, parts * p.members,
          [&](int64_t number, int64_t) { plan.weights_of(number / parts).pack(s, number / parts, number % parts); });
    share(p.threads, plan.grouping.groups, [&](int64_t number, int64_t slot) {
        const Group group = plan.grouping.group(number);
        const ForwardWeights weights = plan.weights_of(group.member);
        const Timeline time(p, group.member, plan.numbers);
        Forward(s, time, weights, group, plan.per_thread + slot * plan.thread_size).run();
    });
}

// What the groups have found, added up: gains and shifts of layer normalisations, a and b.
void found_gradients(const BackwardPlan& plan, int64_t member) {
    const Sizes& s = plan.s;
    const int64_t H = s.padded_hidden, size = Backward::found_size(s), groups = plan.grouping.per_member;
    const real* found = plan.found + member * groups * size;
    for (int64_t layer = 0; layer < s.layers; layer++, found += 10 * H) {
        const WantedGradients to{s.p.d_weight + layer * controller_weights, member};
        sum_groups(to.at(GAIN, 5 * s.hidden), found, groups, size, 5, s.hidden);
        sum_groups(to.at(SHIFT, 5 * s.hidden), found + 5 * H, groups, size, 5, s.hidden);
    }
    sum_groups(WantedGradients{s.p.d_weight, member}.at(MIXING, 2), found, groups, size, 1, 2);
}

void backward(const Problem& p) {
    const BackwardPlan plan(p);
    const Sizes& s = plan.s;
    Timeline::count(s.T, p.kinds, plan.numbers);
    const int64_t parts = weight_parts(s), pieces = WeightGradients::pieces(s);
    share(p.threads, parts * p.members,
          [&](int64_t number, int64_t) { plan.weights_of(number / parts).pack(s, number / parts, number % parts); });
    share(p.threads, plan.grouping.groups, [&](int64_t number, int64_t slot) {
        const Group group = plan.grouping.group(number);
        const BackwardWeights weights = plan.weights_of(group.member);
        const Timeline time(p, group.member, plan.numbers);
        const Kept kept = plan.kept_of(group.member);
        real* found = plan.found + number * Backward::found_size(s);
        fill(found, Backward::found_size(s));
        Backward(s, time, weights, group, kept, found, plan.per_thread + slot * plan.thread_size).run();
    });
    share(p.threads, p.members * pieces, [&](int64_t piece, int64_t slot) {
        const int64_t member = piece / pieces;
        const Tape tape(s, member);
        const Kept kept = plan.kept_of(member);
        WeightGradients{s, tape, kept, member, plan.per_thread + slot * plan.thread_size}.piece(piece % pieces);
    });
    share(p.threads, p.members, [&](int64_t member, int64_t) { found_gradients(plan, member); });
}

}  // namespace ntm

KERNEL_ENTRY_POINTS(ntm)
