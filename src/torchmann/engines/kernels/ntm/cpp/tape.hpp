// The tape: what the forward pass leaves for the backward pass, and where each part of it lies.
#pragma once

#include "grouping.hpp"
#include "problem.hpp"

namespace ntm {

// What the addressing of some heads leaves, each [heads, padded_slots].
struct AddressRecord {
    real *similarity, *content, *shifted, *logs, *weights;
    static constexpr int64_t vectors = 5;

    static AddressRecord at(real* at, int64_t size) {
        return {at, at + size, at + 2 * size, at + 3 * size, at + 4 * size};
    }
    // That of one head.
    AddressRecord of(int64_t head, int64_t slots) const {
        const int64_t by = head * slots;
        return {similarity + by, content + by, shifted + by, logs + by, weights + by};
    }
};

// All levels of a memory [levels, width, padded_slots] and the norms of their slots [levels, padded_slots].
struct MemoryRecord {
    real *memory, *norm;

    static int64_t size(const Sizes& s) { return s.memory + s.levels * s.padded_slots; }
    MemoryRecord(const Sizes& s, real* at) : memory(at), norm(at + s.memory) {}
};

// Pointers into the tape of one member. Without `keep` only the present step is held, and the last two records.
struct Tape {
    const Sizes& s;
    const bool keep;
    real *seen_[most_layers], *gates_[most_layers], *extra_[most_layers];
    real *hidden_, *fields_, *writing_, *reading_, *memory_, *home_;

    // Numbers that one member takes. A slack lets wide loads run over the end of an array.
    static int64_t size(const Sizes& s) { return Tape(s, nullptr).end + slack; }
    Tape(const Sizes& s, int64_t member) : Tape(s, s.p.tape + member * size(s)) {}

    // By step and row.
    real* seen(int64_t t, int64_t b, int64_t layer) const {
        return seen_[layer] + (now(t) * s.B + b) * s.controller(layer).padded_seen;
    }
    real* gates(int64_t t, int64_t b, int64_t layer) const {
        return gates_[layer] + (now(t) * s.B + b) * s.controller(layer).gates;
    }
    real* extra(int64_t t, int64_t b, int64_t layer) const {
        return extra_[layer] + (now(t) * s.B + b) * s.controller(layer).extra;
    }

    // By number of the step among those that use, write or read the memory.
    real* hidden(int64_t use, int64_t b, int64_t layer) const {
        return hidden_ + ((now(use) * s.B + b) * s.layers + layer) * s.padded_hidden;
    }
    real* fields(int64_t use, int64_t b) const { return fields_ + (now(use) * s.B + b) * s.padded_interface; }
    AddressRecord writing(int64_t number, int64_t b) const {
        const int64_t row = last_two(number) * s.B + b;
        return AddressRecord::at(writing_ + row * addresses(s, s.written), s.written * s.padded_slots);
    }
    AddressRecord reading(int64_t number, int64_t b) const {
        const int64_t row = last_two(number) * s.B + b;
        return AddressRecord::at(reading_ + row * addresses(s, s.reads), s.reads * s.padded_slots);
    }
    // The memory that write number `number` left; before its last `left` turns.
    MemoryRecord memory(int64_t number, int64_t b, int64_t left = 0) const {
        const int64_t row = last_two(number) * s.B + b;
        return {s, memory_ + (row * s.versions + s.versions - 1 - left) * MemoryRecord::size(s)};
    }

    // Where rows start: the given state (0) or, after a reset, a fresh one (1).
    MemoryRecord home_memory(int64_t fresh, int64_t b) const { return {s, home(fresh, b)}; }
    real* home_read(int64_t fresh, int64_t b) const { return home(fresh, b) + MemoryRecord::size(s); }
    real* home_write(int64_t fresh, int64_t b) const { return home_read(fresh, b) + s.reads * s.padded_slots; }

    // What a row last wrote and read.
    MemoryRecord memory_of(const Source& wrote, int64_t b) const {
        return wrote.number < 0 ? home_memory(wrote.fresh, b) : memory(wrote.number, b);
    }
    const real* write_weights_of(const Source& wrote, int64_t b) const {
        return wrote.number < 0 ? home_write(wrote.fresh, b) : writing(wrote.number, b).weights;
    }
    const real* read_weights_of(const Source& read, int64_t b) const {
        return read.number < 0 ? home_read(read.fresh, b) : reading(read.number, b).weights;
    }

  private:
    int64_t end;

    Tape(const Sizes& s, real* base) : s(s), keep(s.p.keep) {
        int64_t next = 0;
        auto take = [&](int64_t kept, int64_t else_, int64_t count) {
            const int64_t at = next;
            next += s.B * (keep ? kept : else_) * count;
            return base ? base + at : nullptr;
        };
        for (int64_t layer = 0; layer < s.layers; layer++) {
            const Controller c = s.controller(layer);
            seen_[layer] = take(s.T, 1, c.padded_seen);
            gates_[layer] = take(s.T, 1, c.gates);
            extra_[layer] = take(s.T, 1, c.extra);
        }
        hidden_ = take(s.used, 1, s.layers * s.padded_hidden);
        fields_ = take(s.used, 1, s.padded_interface);
        writing_ = take(s.written_steps, 2, addresses(s, s.written));
        reading_ = take(s.read_steps, 2, addresses(s, s.reads));
        memory_ = take(s.written_steps, 2, s.versions * MemoryRecord::size(s));
        home_ = take(2, 2, home_size(s));
        end = next;
    }
    static int64_t addresses(const Sizes& s, int64_t heads) { return AddressRecord::vectors * heads * s.padded_slots; }
    static int64_t home_size(const Sizes& s) { return MemoryRecord::size(s) + (s.reads + s.written) * s.padded_slots; }
    real* home(int64_t fresh, int64_t b) const { return home_ + (fresh * s.B + b) * home_size(s); }
    int64_t now(int64_t step) const { return keep ? step : 0; }
    int64_t last_two(int64_t number) const { return keep ? number : number & 1; }
};

}  // namespace ntm
