// The tape: what the forward pass leaves for the backward pass, and where each part of it lies.
#pragma once

#include "grouping.hpp"
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
        per_step = s.controller.padded_seen + s.controller.gates + s.controller.extra + (s.p.output_norm ? s.padded_hidden + padding : 0);
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

    Tape(const Sizes& s, int64_t member) : s(s), sizes(s), keep(s.p.keep) {
        real* next = s.p.tape + member * size(s);
        auto take = [&next, &s](int64_t count) { return (next += s.B * count) - s.B * count; };
        const int64_t T = steps(s, s.T, 1), used = steps(s, s.used, 1), read = steps(s, s.read, 2);
        seen_ = take(T * s.controller.padded_seen);
        gates_ = take(T * s.controller.gates);
        extra_ = take(T * s.controller.extra);
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
    real* seen(int64_t t, int64_t b) const { return seen_ + (now(t) * s.B + b) * s.controller.padded_seen; }
    real* gates(int64_t t, int64_t b) const { return gates_ + (now(t) * s.B + b) * s.controller.gates; }
    real* extra(int64_t t, int64_t b) const { return extra_ + (now(t) * s.B + b) * s.controller.extra; }
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

}  // namespace dnc
