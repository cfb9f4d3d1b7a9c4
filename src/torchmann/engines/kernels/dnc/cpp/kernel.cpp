// The entry points: plan the scratch, share the rows out among threads, pack weights, run.
#include "backward.hpp"
#include "team.hpp"

namespace dnc {

constexpr int64_t most_rows = 8;  // rows that one thread takes through the sequence together: more would not fit its cache

// How rows go in groups: enough groups for the threads, none of two members.
struct Grouping {
    int64_t rows, per_member, groups;

    explicit Grouping(const Sizes& s) {
        const int64_t all = s.p.members * s.B, each = s.p.threads < 2 ? all : (all + 2 * s.p.threads - 1) / (2 * s.p.threads);
        rows = std::max<int64_t>(1, std::min({each, s.B, most_rows}));
        per_member = (s.B + rows - 1) / rows;
        groups = per_member * s.p.members;
    }
    Group group(const Sizes& s, int64_t number) const {
        const int64_t first = number % per_member * rows;
        return {number / per_member, first, std::min(rows, s.B - first)};
    }
};

struct ForwardPlan {
    Sizes s;
    Grouping grouping;
    int64_t *numbers, weights_size, thread_size, total;
    real *weights, *per_thread;

    explicit ForwardPlan(const Problem& p) : s(p), grouping(s) {
        int64_t next = 0;
        auto take = [&](int64_t count) {
            real* at = p.scratch ? p.scratch + next : nullptr;
            next += padded(count);
            return at;
        };
        numbers = reinterpret_cast<int64_t*>(take(Timeline::size(s)));
        weights_size = padded(ForwardWeights::size(s));
        weights = take(p.members * weights_size);
        thread_size = padded(Forward::scratch_size(s, grouping.rows));
        per_thread = take(p.threads * thread_size);
        total = next;
    }
};

struct BackwardPlan {
    Sizes s;
    Grouping grouping;
    int64_t *numbers, *step_of_write, weights_size, thread_size, gates_size, interface_size, total;
    real *weights, *d_gates, *d_interface, *d_norms, *per_thread;

    explicit BackwardPlan(const Problem& p) : s(p), grouping(s) {
        int64_t next = 0;
        auto take = [&](int64_t count) {
            real* at = p.scratch ? p.scratch + next : nullptr;
            next += padded(count);
            return at;
        };
        numbers = reinterpret_cast<int64_t*>(take(Timeline::size(s)));
        step_of_write = reinterpret_cast<int64_t*>(take(Timeline::size(s)));
        weights_size = padded(BackwardWeights::size(s));
        weights = take(p.members * weights_size);
        gates_size = padded(s.T * s.B * s.gates) + Tape::slack;
        d_gates = take(p.members * gates_size);
        interface_size = padded(s.used * s.B * s.padded_interface) + Tape::slack;
        d_interface = take(p.members * interface_size);
        d_norms = take(grouping.groups * Backward::norms_size(s));
        thread_size = padded(std::max(Backward::scratch_size(s, grouping.rows), WeightGradients::scratch_size(s)));
        per_thread = take(p.threads * thread_size);
        total = next;
    }
};

void forward(const Problem& p) {
    const ForwardPlan plan(p);
    const Sizes& s = plan.s;
    Timeline::count(s, plan.numbers);
    share(p.threads, 2 * p.members, [&](int64_t part, int64_t) {
        const ForwardWeights weights(s, plan.weights + part / 2 * plan.weights_size);
        if (part % 2) weights.pack_interface(s, part / 2);
        else weights.pack_gates(s, part / 2);
    });
    share(p.threads, plan.grouping.groups, [&](int64_t number, int64_t slot) {
        const Group group = plan.grouping.group(s, number);
        const ForwardWeights weights(s, plan.weights + group.member * plan.weights_size);
        const Timeline time(s, group.member, plan.numbers);
        Forward(s, time, weights, group, plan.per_thread + slot * plan.thread_size).run();
    });
}

// Gains and shifts: the sums of what the groups have found, in their order.
void norm_gradients(const BackwardPlan& plan, int64_t member) {
    const Sizes& s = plan.s;
    const int64_t H = s.padded_hidden;
    for (int64_t i = 0; i < plan.grouping.per_member; i++) {
        const real* found = plan.d_norms + (member * plan.grouping.per_member + i) * Backward::norms_size(s);
        for (int weight : {GAIN, SHIFT, NORM_GAIN, NORM_SHIFT}) {
            if (!s.p.d_weight[weight]) continue;
            const int64_t rows = weight <= SHIFT ? 5 : 1;
            const int64_t at = weight == GAIN ? 0 : weight == SHIFT ? 5 : weight == NORM_GAIN ? 10 : 11;
            real* to = s.p.d_weight[weight] + member * rows * s.hidden;
            if (i == 0) fill(to, rows * s.hidden);
            add_unpadded(to, found + at * H, rows, s.hidden, H);
        }
    }
}

void backward(const Problem& p) {
    const BackwardPlan plan(p);
    const Sizes& s = plan.s;
    Timeline::count(s, plan.numbers);
    for (int64_t t = 0, number = 0; t < s.T; t++)
        if (s.kind_of(t) & WRITES) plan.step_of_write[number++] = t;
    const int64_t pieces = WeightGradients::pieces(s);
    share(p.threads, 2 * p.members, [&](int64_t part, int64_t) {
        const BackwardWeights weights(s, plan.weights + part / 2 * plan.weights_size);
        if (part % 2) weights.pack_interface(s, part / 2);
        else weights.pack_gates(s, part / 2);
    });
    share(p.threads, plan.grouping.groups, [&](int64_t number, int64_t slot) {
        const Group group = plan.grouping.group(s, number);
        const BackwardWeights weights(s, plan.weights + group.member * plan.weights_size);
        const Timeline time(s, group.member, plan.numbers);
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

#define EXPORTED extern "C" __attribute__((visibility("default")))

// The size of Problem, by which a caller checks that it fills in the same fields.
EXPORTED int64_t dnc_problem_bytes() { return sizeof(dnc::Problem); }

// Numbers that the interface vector of a cell, the tape of all members, and the scratch of either pass take.
EXPORTED void dnc_sizes(const dnc::Problem* p, int64_t* sizes) {
    const dnc::Sizes s(*p);
    dnc::Problem counting = *p;
    counting.scratch = nullptr;
    sizes[0] = s.interface;
    sizes[1] = p->members * dnc::Tape::size(s);
    sizes[2] = dnc::ForwardPlan(counting).total;
    sizes[3] = dnc::BackwardPlan(counting).total;
}

EXPORTED void dnc_forward(const dnc::Problem* p) { dnc::forward(*p); }
EXPORTED void dnc_backward(const dnc::Problem* p) { dnc::backward(*p); }
