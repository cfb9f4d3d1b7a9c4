// What a group of heads does to the memory of one row: read or write, forward and backward.
#pragma once

#include "addressing.hpp"

namespace ntm {

// The erase and add vectors of some heads, each `stride` apart.
struct Vectors {
    const real *erase, *add;
    int64_t erase_stride, stride;
};

// M' = M prod over heads of (1 - w e^T) + sum over heads of w a^T (2014, eqs 3-4).
inline void write(const Sizes& s, const real* before, int64_t heads, const real* weights, const Vectors& v,
                  real* after) {
    const int64_t N = s.padded_slots;
    if (heads == 1) return erase_and_add(before, weights, v.erase, v.add, s.width, N, after);
    for (int64_t w = 0; w < s.width; w++)
        for (int64_t n = 0; n < N; n += lanes) {
            vec kept = load(before + w * N + n), added{};
            for (int64_t j = 0; j < heads; j++) {
                const vec weight = load(weights + j * N + n);
                kept *= 1 - weight * v.erase[j * v.erase_stride + w];
                added += weight * v.add[j * v.stride + w];
            }
            store(after + w * N + n, kept + added);
        }
}

// d_memory becomes that of the memory before, d_weights [heads, N] are added to, d_erase and d_add [heads, W] set.
inline void write_backward(const Sizes& s, const real* before, int64_t heads, const real* weights, const Vectors& v,
                           real* d_memory, real* d_weights, real* d_erase, real* d_add, real* parts) {
    const int64_t N = s.padded_slots, W = s.width;
    if (heads == 1)
        return erase_and_add_backward(before, weights, v.erase, v.add, W, N, d_memory, d_weights, d_erase, d_add,
                                      parts);
    auto kept = [&](int64_t n, int64_t w, int64_t without) {
        vec product = splat(1);
        for (int64_t j = 0; j < heads; j++)
            if (j != without) product *= 1 - load(weights + j * N + n) * v.erase[j * v.erase_stride + w];
        return product;
    };
    for (int64_t w = 0; w < W; w++) {
        for (int64_t j = 0; j < heads; j++) {
            const real erase = v.erase[j * v.erase_stride + w], add = v.add[j * v.stride + w];
            vec by_erase{}, by_add{};
            for (int64_t n = 0; n < N; n += lanes) {
                const vec d = load(d_memory + w * N + n), weighted = d * load(weights + j * N + n);
                const vec others = load(before + w * N + n) * kept(n, w, j);
                store(d_weights + j * N + n, load(d_weights + j * N + n) + d * (add - erase * others));
                by_erase -= weighted * others;
                by_add += weighted;
            }
            d_erase[j * W + w] = sum(by_erase), d_add[j * W + w] = sum(by_add);
        }
        for (int64_t n = 0; n < N; n += lanes)
            store(d_memory + w * N + n, load(d_memory + w * N + n) * kept(n, w, -1));
    }
}

// Vectors that a step needs for itself, per thread.
struct StepScratch {
    real* ones;                           // [W]: what a coupled head erases
    real *d_weights, *d_product, *d_norm;  // [heads, N], [heads, N], [N]
    real *d_erase, *d_add;                // [heads, W]
    real *parts, *own;                    // [2, padded width] vectors; a level of memory
    AddressScratch address;

    static int64_t heads(const Sizes& s) { return std::max(s.reads, s.written); }
    static int64_t own_size(const Sizes& s) {
        return padded(s.width) + (2 * heads(s) + 1) * s.padded_slots + 2 * heads(s) * padded(s.width) +
               2 * padded(s.width) * lanes + s.matrix;
    }
    static int64_t size(const Sizes& s) { return own_size(s) + AddressScratch::size(s); }

    StepScratch(const Sizes& s, real* next) : address(s, next + own_size(s)) {
        auto take = [&next](int64_t count) { return (next += count) - count; };
        const int64_t N = s.padded_slots, W = padded(s.width);
        ones = take(W), d_weights = take(heads(s) * N), d_product = take(heads(s) * N), d_norm = take(N);
        d_erase = take(heads(s) * W), d_add = take(heads(s) * W), parts = take(2 * W * lanes), own = take(s.matrix);
        fill(ones, W, 1);
    }
};

// The vectors of the write heads from weighting `first` on.
inline Vectors vectors_of(const Sizes& s, const real* y, int64_t first, const StepScratch& scratch) {
    const Head head = s.write_head(first);
    if (s.p.coupled) return {scratch.ones, y + head.add, 0, s.width};
    return {y + head.erase, y + head.add, s.width, s.width};
}

// A group of read heads addresses the last level as it is and reads from it.
inline void read_turn(const Sizes& s, const Turn& turn, const real* y, const MemoryRecord& seen, const real* previous,
                      const AddressRecord& now, real* reads, const StepScratch& scratch) {
    const int64_t N = s.padded_slots, level = s.levels - 1;
    const real *memory = seen.memory + level * s.matrix, *norm = seen.norm + level * N;
    for (int64_t r = turn.first; r < turn.first + turn.count; r++) {
        address(s, memory, norm, y, s.read_head(r), previous + r * N, now.of(r, N), scratch.address.gated);
        read_out(memory, now.weights + r * N, s.width, N, reads + r * s.width);
    }
}

// M_k = a M~_k + b M_{k-1}: `own` is what the level's write head made, or the level as it was; may be in place.
inline void mix(const real* mixing, const real* own, const real* above, int64_t size, real* to) {
    for (int64_t i = 0; i < size; i += lanes) store(to + i, mixing[0] * load(own + i) + mixing[1] * load(above + i));
}

// A group of write heads addresses the memory as it is and writes to it; levels each by its own, and then mixed.
inline void write_turn(const Sizes& s, const Turn& turn, const real* y, const real* mixing, const MemoryRecord& seen,
                       const real* previous, const AddressRecord& now, const MemoryRecord& after,
                       const StepScratch& scratch) {
    const int64_t N = s.padded_slots;
    for (int64_t j = turn.first; j < turn.first + turn.count; j++) {
        const int64_t level = s.p.structured ? j : 0;
        address(s, seen.memory + level * s.matrix, seen.norm + level * N, y, s.write_head(j), previous + j * N,
                now.of(j, N), scratch.address.gated);
    }
    if (s.p.structured)
        for (int64_t level = 0; level < s.levels; level++) {
            const real* own = seen.memory + level * s.matrix;
            real* to = after.memory + level * s.matrix;
            if (level < s.written) {
                write(s, own, 1, now.weights + level * N, vectors_of(s, y, level, scratch), to);
                own = to;
            }
            if (level) mix(mixing, own, to - s.matrix, s.matrix, to);
        }
    else
        write(s, seen.memory, turn.count, now.weights + turn.first * N, vectors_of(s, y, turn.first, scratch),
              after.memory);
    for (int64_t level = 0; level < s.levels; level++)
        norms(after.memory + level * s.matrix, s.width, N, s.similarity, after.norm + level * N);
}

// The gradients that a step hands to the one before it: of the memory [levels, W, N] and of the weightings.
struct Carry {
    real *memory, *read, *write;

    static int64_t size(const Sizes& s) { return s.memory + (s.reads + s.written) * s.padded_slots; }
    Carry(const Sizes& s, real* at)
        : memory(at), read(at + s.memory), write(read + s.reads * s.padded_slots) {}
};

// The backward of `read_turn`: carry.read holds the gradient of this step's weightings and becomes that of the step
// before, carry.memory is added to. d_reads are those of all heads.
inline void read_turn_backward(const Sizes& s, const Turn& turn, const real* y, const MemoryRecord& seen,
                               const real* previous, const AddressRecord& now, const real* d_reads, real* d,
                               const Carry& carry, const StepScratch& scratch) {
    const int64_t N = s.padded_slots, W = s.width, level = s.levels - 1, first = turn.first;
    const real *memory = seen.memory + level * s.matrix, *norm = seen.norm + level * N;
    fill(scratch.d_norm, N);
    for (int64_t r = first; r < first + turn.count; r++) {
        match(memory, d_reads + r * W, W, N, scratch.d_weights);
        add_to(scratch.d_weights, carry.read + r * N, N);
        address_backward(s, memory, norm, y, s.read_head(r), previous + r * N, now.of(r, N), scratch.d_weights, d,
                         carry.read + r * N, scratch.d_product + (r - first) * N, scratch.d_norm, scratch.address);
    }
    matrix_gradient(memory, norm, scratch.d_norm, turn.count, scratch.d_product, y + s.read_head(first).key,
                    now.weights + first * N, d_reads + first * W, W, N, carry.memory + level * s.matrix);
}

// The backward of the heads' addressing of one level in `write_turn`; carry.write holds the weightings' gradients.
inline void write_address_backward(const Sizes& s, int64_t first, int64_t count, int64_t level, const real* y,
                                   const MemoryRecord& seen, const real* previous, const AddressRecord& now, real* d,
                                   const Carry& carry, const StepScratch& scratch) {
    const int64_t N = s.padded_slots;
    const real *memory = seen.memory + level * s.matrix, *norm = seen.norm + level * N;
    fill(scratch.d_norm, N);
    for (int64_t j = first; j < first + count; j++) {
        const Head head = s.write_head(j);
        address_backward(s, memory, norm, y, head, previous + j * N, now.of(j, N), carry.write + j * N, d,
                         carry.write + j * N, scratch.d_product, scratch.d_norm, scratch.address);
        matrix_gradient(memory, j == first + count - 1 ? norm : nullptr, scratch.d_norm, 1, scratch.d_product,
                        y + head.key, nullptr, nullptr, s.width, N, carry.memory + level * s.matrix);
    }
}

// The backward of the writing itself on one level, by heads [first, first + count).
inline void write_level_backward(const Sizes& s, int64_t first, int64_t count, int64_t level, const real* y,
                                 const real* before, const AddressRecord& now, real* d, const Carry& carry,
                                 const StepScratch& scratch) {
    const int64_t N = s.padded_slots;
    write_backward(s, before, count, now.weights + first * N, vectors_of(s, y, first, scratch),
                   carry.memory + level * s.matrix, carry.write + first * N, scratch.d_erase, scratch.d_add,
                   scratch.parts);
    for (int64_t j = 0; j < count; j++) {
        const Head head = s.write_head(first + j);
        if (head.erase >= 0) add_to(d + head.erase, scratch.d_erase + j * s.width, s.width);
        add_to(d + head.add, scratch.d_add + j * s.width, s.width);
    }
}

// Of `mix`: the gradients of a level and of the one above it, and of a and b (added to).
inline void mix_backward(const real* mixing, const real* own, const real* above, int64_t size, real* d_level,
                         real* d_above, real* d_mixing) {
    vec by_own{}, by_above{};
    for (int64_t i = 0; i < size; i += lanes) {
        const vec d = load(d_level + i);
        by_own += d * load(own + i), by_above += d * load(above + i);
        store(d_above + i, load(d_above + i) + mixing[1] * d);
        store(d_level + i, mixing[0] * d);
    }
    d_mixing[0] += sum(by_own), d_mixing[1] += sum(by_above);
}

// The backward of `write_turn`: carry.memory holds the gradient of what it made and becomes that of what it saw;
// carry.write becomes that of the weightings before.
inline void write_turn_backward(const Sizes& s, const Turn& turn, const real* y, const real* mixing,
                                const MemoryRecord& seen, const real* previous, const AddressRecord& now,
                                const MemoryRecord& after, real* d, const Carry& carry, real* d_mixing,
                                const StepScratch& scratch) {
    const int64_t N = s.padded_slots;
    if (!s.p.structured) {
        write_level_backward(s, turn.first, turn.count, 0, y, seen.memory, now, d, carry, scratch);
        return write_address_backward(s, turn.first, turn.count, 0, y, seen, previous, now, d, carry, scratch);
    }
    for (int64_t level = s.levels - 1; level >= 0; level--) {
        const real *before = seen.memory + level * s.matrix, *own = before;
        if (level) {
            if (level < s.written) {
                write(s, before, 1, now.weights + level * N, vectors_of(s, y, level, scratch), scratch.own);
                own = scratch.own;
            }
            mix_backward(mixing, own, after.memory + (level - 1) * s.matrix, s.matrix, carry.memory + level * s.matrix,
                         carry.memory + (level - 1) * s.matrix, d_mixing);
        }
        if (level >= s.written) continue;
        write_level_backward(s, level, 1, level, y, before, now, d, carry, scratch);
        write_address_backward(s, level, 1, level, y, seen, previous, now, d, carry, scratch);
    }
}

}  // namespace ntm
