// The entry points: plan the scratch, share the rows out among threads, pack weights, run.
#include "backward.hpp"
#include "entry.hpp"
#include "team.hpp"

namespace armin {

struct ForwardPlan {
    Sizes s;
    Grouping grouping;
    int64_t *numbers, weights_size, thread_size, total;
    real *weights, *per_thread;

    explicit ForwardPlan(const Problem& p) : s(p), grouping(p.members, p.batch, p.threads) {
        Plan plan{p.scratch};
        numbers = reinterpret_cast<int64_t*>(plan.take(Timeline::size(s)));
        weights_size = padded(ForwardMaps::size(s));
        weights = plan.take(p.members * weights_size);
        thread_size = padded(Forward::scratch_size(s, grouping.rows));
        per_thread = plan.take(p.threads * thread_size);
        total = plan.total;
    }
};

struct BackwardPlan {
    Sizes s;
    Grouping grouping;
    int64_t *numbers, weights_size, thread_size, gradients_size, found_size, total;
    real *weights, *gradients, *found, *per_thread;

    explicit BackwardPlan(const Problem& p) : s(p), grouping(p.members, p.batch, p.threads) {
        Plan plan{p.scratch};
        numbers = reinterpret_cast<int64_t*>(plan.take(Timeline::size(s)));
        weights_size = padded(BackwardMaps::size(s));
        weights = plan.take(p.members * weights_size);
        gradients_size = MapGradients::size(s);
        gradients = plan.take(p.members * gradients_size);
        found_size = Found::size(s);
        found = plan.take(grouping.groups * found_size);
        thread_size = padded(std::max(Backward::scratch_size(s, grouping.rows), WeightGradients::scratch_size(s)));
        per_thread = plan.take(p.threads * thread_size);
        total = plan.total;
    }
};

void forward(const Problem& p) {
    const ForwardPlan plan(p);
    const Sizes& s = plan.s;
    Timeline::count(s, plan.numbers);
    share(p.threads, maps * p.members, [&](int64_t part, int64_t) {
        ForwardMaps(s, plan.weights + part / maps * plan.weights_size).pack(s, all_maps[part % maps], part / maps);
    });
    share(p.threads, plan.grouping.groups, [&](int64_t number, int64_t slot) {
        const Group group = plan.grouping.group(number);
        const ForwardMaps weights(s, plan.weights + group.member * plan.weights_size);
        const Timeline time(s, group.member, plan.numbers);
        Forward(s, time, weights, group, plan.per_thread + slot * plan.thread_size).run();
    });
}

// The gradients of weights that are no maps': the sums of what the groups have found.
void other_gradients(const BackwardPlan& plan, int64_t member) {
    const Sizes& s = plan.s;
    const int64_t size = plan.found_size, groups = plan.grouping.per_member;
    const Found found(s, plan.found + member * groups * size);
    const WantedGradients to{s.p.d_weight, member};
    for (Weight which : {GAIN, SHIFT})
        if (real* at = s.p.layer_norm ? to.at(which, s.norm_size) : nullptr)
            for (const Normed& group : s.normed) {
                const real* from = which == GAIN ? found.control.gain : found.control.shift;
                sum_groups(at + group.unit, from + group.at, groups, size, 1, group.size);
            }
    sum_groups(to.at(PEEPHOLE, 3 * s.hidden), found.control.peephole, groups, size, 3, s.hidden);
    sum_groups(to.at(SCORE, s.query), found.score, groups, size, 1, s.query);
    sum_groups(to.at(NORM_GAIN, s.slots), found.norm_gain, groups, size, 1, s.slots);
    sum_groups(to.at(NORM_SHIFT, s.slots), found.norm_shift, groups, size, 1, s.slots);
    sum_groups(to.at(KEYED, s.slots * s.query), found.keyed, groups, size, s.slots, s.query);
    if (real* shown = to.at(SHOWN, s.query * s.width))  // on top of what the writes have given
        for (int64_t i = 0; i < groups; i++)
            add_unpadded(shown, found.shown + i * size, s.query, s.width, s.wide_width);
    sum_groups(to.at(KEYS, s.slots * s.p.key), found.keys, groups, size, s.slots, s.p.key);
}

void backward(const Problem& p) {
    const BackwardPlan plan(p);
    const Sizes& s = plan.s;
    Timeline::count(s, plan.numbers);
    share(p.threads, maps * p.members, [&](int64_t part, int64_t) {
        BackwardMaps(s, plan.weights + part / maps * plan.weights_size).pack(s, all_maps[part % maps], part / maps);
    });
    share(p.threads, plan.grouping.groups, [&](int64_t number, int64_t slot) {
        const Group group = plan.grouping.group(number);
        const BackwardMaps weights(s, plan.weights + group.member * plan.weights_size);
        const Timeline time(s, group.member, plan.numbers);
        const MapGradients gradients(s, plan.gradients + group.member * plan.gradients_size);
        fill(plan.found + number * plan.found_size, plan.found_size);
        const Found found(s, plan.found + number * plan.found_size);
        Backward(s, time, weights, group, gradients, found, plan.per_thread + slot * plan.thread_size).run();
    });
    const int64_t pieces = WeightGradients::pieces(s);
    share(p.threads, p.members * pieces, [&](int64_t piece, int64_t slot) {
        const int64_t member = piece / pieces;
        const Tape tape(s, member);
        const MapGradients gradients(s, plan.gradients + member * plan.gradients_size);
        WeightGradients{s, tape, gradients, member, plan.per_thread + slot * plan.thread_size}.piece(piece % pieces);
    });
    share(p.threads, p.members, [&](int64_t member, int64_t) { other_gradients(plan, member); });
}

}  // namespace armin

KERNEL_ENTRY_POINTS(armin)
