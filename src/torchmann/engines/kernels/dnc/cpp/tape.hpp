// The tape: what the forward pass leaves for the backward pass, and where each part of it lies.
#pragma once

#include "problem.hpp"

namespace dnc {

// What a write leaves, each [padded_slots].
struct WriteRecord {
    real *usage, *weights, *precedence, *norm, *content, *similarity, *order;
    static constexpr int64_t vectors = 7;

    WriteRecord(real* at, int64_t slots)
        : usage(at), weights(at + slots), precedence(at + 2 * slots), norm(at + 3 * slots), content(at + 4 * slots),
          similarity(at + 5 * slots), order(at + 6 * slots) {}
};

// What a read leaves, each [heads, padded_slots].
struct ReadRecord {
    real *weights, *content, *similarity;
    static constexpr int64_t vectors = 3;

    ReadRecord(real* at, int64_t slots, int64_t heads)
        : weights(at), content(at + heads * slots), similarity(at + 2 * heads * slots) {}
};

// How many numbers one row (of one member) takes on the tape.
struct TapeSizes {
    int64_t per_step, per_use, per_write, per_read, per_snapshot, per_home;

    explicit TapeSizes(const Sizes& s) {
        per_step = s.padded_seen + s.gates + s.extra + (s.p.output_norm ? s.padded_hidden + padding : 0);
        per_use = s.padded_hidden + s.padded_interface * (s.p.clip_interface > 0 ? 2 : 1);
        per_write = s.blocks * WriteRecord::vectors * s.padded_slots;
        per_read = s.blocks * (ReadRecord::vectors * s.heads * s.padded_slots + (s.p.gated ? s.padded_reads : 0));
        per_snapshot = s.blocks * (s.memory + s.link);
        per_home = per_snapshot + s.blocks * (WriteRecord::vectors + s.heads) * s.padded_slots;
    }
};

// Pointers into the tape of one member. Without `keep` only the present step is held, and the last two records.
struct Tape {
    const Sizes& s;
    TapeSizes sizes;
    bool keep;
    real *seen_, *gates_, *extra_, *norm_, *output_, *fields_, *raw_, *write_, *read_, *block_reads_, *snapshot_,
        *home_;

    static int64_t steps(const Sizes& s, int64_t kept, int64_t else_) { return s.p.keep ? kept : else_; }

    // Numbers that one member takes. A slack of one panel lets wide loads run over the end of an array.
    static int64_t size(const Sizes& s) {
        const TapeSizes t(s);
        return s.B * (steps(s, s.T, 1) * t.per_step + steps(s, s.used, 1) * t.per_use +
                      steps(s, s.written, 2) * t.per_write + steps(s, s.read, 2) * t.per_read +
                      steps(s, s.snapshots(), 0) * t.per_snapshot + 2 * t.per_home) + slack;
    }
    static constexpr int64_t slack = 64;

    Tape(const Sizes& s, int64_t member) : s(s), sizes(s), keep(s.p.keep) {
        real* next = s.p.tape + member * size(s);
        auto take = [&next, &s](int64_t count) { return (next += s.B * count) - s.B * count; };
        const int64_t T = steps(s, s.T, 1), used = steps(s, s.used, 1), read = steps(s, s.read, 2);
        seen_ = take(T * s.padded_seen);
        gates_ = take(T * s.gates);
        extra_ = take(T * s.extra);
        norm_ = take(s.p.output_norm ? T * (s.padded_hidden + padding) : 0);
        output_ = take(used * s.padded_hidden);
        fields_ = take(used * s.padded_interface);
        raw_ = take(s.p.clip_interface > 0 ? used * s.padded_interface : 0);
        write_ = take(steps(s, s.written, 2) * sizes.per_write);
        read_ = take(read * s.blocks * ReadRecord::vectors * s.heads * s.padded_slots);
        block_reads_ = take(s.p.gated ? read * s.blocks * s.padded_reads : 0);
        snapshot_ = take(steps(s, s.snapshots(), 0) * sizes.per_snapshot);
        home_ = take(2 * sizes.per_home);
    }

    // By step and row.
    real* seen(int64_t t, int64_t b) const { return seen_ + (now(t) * s.B + b) * s.padded_seen; }
    real* gates(int64_t t, int64_t b) const { return gates_ + (now(t) * s.B + b) * s.gates; }
    real* extra(int64_t t, int64_t b) const { return extra_ + (now(t) * s.B + b) * s.extra; }
    real* norm(int64_t t, int64_t b) const { return norm_ + (now(t) * s.B + b) * (s.padded_hidden + padding); }

    // By number of the step among those that use, write or read the memory.
    real* output(int64_t use, int64_t b) const { return output_ + (now(use) * s.B + b) * s.padded_hidden; }
    real* fields(int64_t use, int64_t b) const { return fields_ + (now(use) * s.B + b) * s.padded_interface; }
    real* raw(int64_t use, int64_t b) const { return raw_ + (now(use) * s.B + b) * s.padded_interface; }
    WriteRecord write(int64_t number, int64_t b, int64_t block) const {
        const int64_t row = (last_two(number) * s.B + b) * s.blocks + block;
        return {write_ + row * WriteRecord::vectors * s.padded_slots, s.padded_slots};
    }
    ReadRecord read(int64_t number, int64_t b, int64_t block) const {
        const int64_t row = (last_two(number) * s.B + b) * s.blocks + block;
        return {read_ + row * ReadRecord::vectors * s.heads * s.padded_slots, s.padded_slots, s.heads};
    }
    real* block_reads(int64_t number, int64_t b, int64_t block) const {
        return block_reads_ + ((last_two(number) * s.B + b) * s.blocks + block) * s.padded_reads;
    }

    // Memory and then links before write number `snapshot * interval`.
    real* snapshot(int64_t snapshot, int64_t b, int64_t block) const {
        return snapshot_ + ((snapshot * s.B + b) * s.blocks + block) * (s.memory + s.link);
    }

    // Where rows start: the given state (0) or, after a reset, a fresh one (1).
    WriteRecord home_write(int64_t fresh, int64_t b, int64_t block) const {
        return {home(fresh, b, block) + s.memory + s.link, s.padded_slots};
    }
    real* home_read_weights(int64_t fresh, int64_t b, int64_t block) const {
        return home(fresh, b, block) + s.memory + s.link + WriteRecord::vectors * s.padded_slots;
    }
    real* home_memory(int64_t fresh, int64_t b, int64_t block) const { return home(fresh, b, block); }

  private:
    int64_t now(int64_t step) const { return keep ? step : 0; }
    int64_t last_two(int64_t number) const { return keep ? number : number & 1; }
    real* home(int64_t fresh, int64_t b, int64_t block) const {
        return home_ + (fresh * s.B + b) * sizes.per_home + block * (sizes.per_home / s.blocks);
    }
};

// Where a row's memory comes from before a step: a record by its number, or a home.
struct Source {
    int64_t number;  // -1: home
    int64_t fresh;   // 1: the home of a reset row
};

// Numbers of steps among those that use, write and read, and what was last written and read before each.
struct Timeline {
    const Sizes& s;
    const int8_t* reset;
    const int64_t* lengths;
    int64_t* before;  // [3, T + 1]: used, written, read before step t

    static int64_t size(const Sizes& s) { return padded(3 * (s.T + 1) * sizeof(int64_t) / sizeof(real) + 1); }

    Timeline(const Sizes& s, int64_t member, int64_t* numbers)
        : s(s), reset(s.p.reset ? s.p.reset + member * s.T * s.B : nullptr),
          lengths(s.p.lengths ? s.p.lengths + member * s.B : nullptr), before(numbers) {}

    static void count(const Sizes& s, int64_t* before) {
        const int64_t n = s.T + 1;
        before[0] = before[n] = before[2 * n] = 0;
        for (int64_t t = 0; t < s.T; t++) {
            const int8_t kind = s.kind_of(t);
            before[t + 1] = before[t] + (kind != HOLD);
            before[n + t + 1] = before[n + t] + ((kind & WRITES) != 0);
            before[2 * n + t + 1] = before[2 * n + t] + ((kind & READS) != 0);
        }
    }

    int64_t used(int64_t t) const { return before[t]; }
    int64_t written(int64_t t) const { return before[s.T + 1 + t]; }
    int64_t read(int64_t t) const { return before[2 * (s.T + 1) + t]; }
    bool resets(int64_t t, int64_t b) const { return reset && reset[t * s.B + b]; }

    // Steps of row b: from there on it only rests, or is reset.
    int64_t end(int64_t b) const { return lengths ? lengths[b] : s.T; }

    // What row b last wrote (or read) before step t, a reset at t itself taken into account; a home if nothing since.
    Source last(int8_t what, int64_t t, int64_t b) const {
        return resets(t, b) ? Source{-1, 1} : after(what, t, b);
    }

    // The same for the state after `steps` steps.
    Source after(int8_t what, int64_t steps, int64_t b) const {
        const int64_t done = std::min(steps, end(b)), number = (what == WRITES ? written(done) : read(done)) - 1;
        if (reset)
            for (int64_t step = steps - 1; step >= 0 && !(step < done && (s.kind_of(step) & what)); step--)
                if (resets(step, b)) return {-1, 1};
        return {number, 0};
    }
};

}  // namespace dnc
