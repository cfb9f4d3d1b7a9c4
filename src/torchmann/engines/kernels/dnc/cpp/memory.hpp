// One step of a DNC memory (one row, one block): a half that writes and a half that reads, forward and backward.
#pragma once

#include "allocation.hpp"
#include "interface.hpp"
#include "link.hpp"
#include "tape.hpp"

namespace dnc {

// p = (1 - sum w) p' + w.
inline void precedence(const real* before, const real* write, int64_t slots, real* to) {
    vec total{};
    for (int64_t n = 0; n < slots; n += lanes) total += load(write + n);
    const real kept = 1 - sum(total);
    for (int64_t n = 0; n < slots; n += lanes) store(to + n, kept * load(before + n) + load(write + n));
}

// Vectors that a step needs for itself, per thread.
struct StepScratch {
    real *allocation, *products;                             // [N]
    real *ahead, *back;                                      // [R, N]
    real *d_product, *d_norm, *d_weights, *d_precedence, *d_content;  // [N], d_weights and d_product [R, N]
    real *along, *against, *scaled;                          // [R, N], [R, N], [2, R, N]
    real *modes;                                             // [2, R] padded
    real *parts;                                             // [2, padded width] vectors

    static int64_t size(const Sizes& s) { return (5 + 8 * s.heads) * s.padded_slots + padded(2 * s.heads) + 2 * padded(s.width) * lanes; }

    StepScratch(const Sizes& s, real* next) {
        const int64_t N = s.padded_slots, RN = s.heads * N;
        auto take = [&next](int64_t count) { return (next += count) - count; };
        allocation = take(N), products = take(N), d_norm = take(N), d_precedence = take(N), d_content = take(N);
        ahead = take(RN), back = take(RN), d_product = take(RN), d_weights = take(RN);
        along = take(RN), against = take(RN), scaled = take(2 * RN);
        modes = take(padded(2 * s.heads)), parts = take(2 * padded(s.width) * lanes);
    }
};

// w = g^w (c + g^a (a - c)), from the nearer end as torch.lerp has it: the same rounding leaves the same slots equal.
inline void write_weighting(const real* content, const real* allocation, real allocation_gate, real write_gate,
                            int64_t slots, real* to) {
    const bool near_content = allocation_gate < real(0.5);
    const real part = near_content ? allocation_gate : allocation_gate - 1;
    for (int64_t n = 0; n < slots; n += lanes) {
        const vec c = load(content + n), a = load(allocation + n);
        store(to + n, write_gate * ((near_content ? c : a) + part * (a - c)));
    }
}

// Free, allocate, write. The links follow in `read_forward`, or here if nothing is read at this step.
inline void write_forward(const Sizes& s, const real* y, const WriteRecord& before, const real* read_before,
                          real* memory, real* link, bool reads_too, const WriteRecord& now, StepScratch& scratch) {
    const Fields& f = s.fields;
    const int64_t N = s.padded_slots;
    usage(before.usage, before.weights, read_before, y + f.free_gate, s.heads, N, now.usage);
    if (s.p.softmax_allocation)
        softmax_allocation(now.usage, y[f.allocation_strength], s.slots, N, scratch.products, scratch.allocation);
    else
        sorted_allocation(now.usage, s.p.usage_floor, s.slots, N, scratch.products,
                          reinterpret_cast<integer*>(now.order), scratch.allocation);
    look_up(memory, before.norm, y + f.write_key, y[f.write_strength], s.similarity, s.width, s.slots, N,
            now.similarity, now.content);
    write_weighting(now.content, scratch.allocation, y[f.allocation_gate], y[f.write_gate], N, now.weights);
    erase_and_add(memory, now.weights, y + f.erase, y + f.write_vector, s.width, N, memory);
    norms(memory, s.width, N, s.similarity, now.norm);
    if (!s.p.links) return;
    precedence(before.precedence, now.weights, N, now.precedence);
    if (!reads_too) extend_links(link, now.weights, before.precedence, N, link);
}

// Look up, follow the links, read. `written` are the vectors of the memory as it is; with `before` not null, this step
// wrote, and the links are updated on the way.
inline void read_forward(const Sizes& s, const real* y, const WriteRecord& written, const real* precedence_before,
                         const real* read_before, const real* memory, real* link, const ReadRecord& now, real* reads,
                         StepScratch& scratch) {
    const Fields& f = s.fields;
    const int64_t N = s.padded_slots;
    if (s.p.links)
        links_forward(link, precedence_before != nullptr, written.weights, precedence_before, read_before, s.heads, N,
                      scratch.ahead, scratch.back);
    for (int64_t r = 0; r < s.heads; r++) {
        real *content = now.content + r * N, *weights = now.weights + r * N;
        look_up(memory, written.norm, y + f.read_key + r * s.width, y[f.read_strength + r], s.similarity, s.width,
                s.slots, N, now.similarity + r * N, content);
        if (s.p.links) {
            const real* mode = y + f.read_mode + 3 * r;
            const real *back = scratch.back + r * N, *ahead = scratch.ahead + r * N;
            for (int64_t n = 0; n < N; n += lanes)
                store(weights + n, mode[0] * load(back + n) + mode[1] * load(content + n) + mode[2] * load(ahead + n));
        } else {
            copy(weights, content, N);
        }
        read_out(memory, weights, s.width, N, reads + r * s.width);
    }
}

// The gradients that a step hands to the one before it (one row, one block).
struct Carry {
    real *memory, *link, *usage, *write, *precedence;  // write: into the weighting of the step before
    real* read;                                        // [R, N]

    static int64_t size(const Sizes& s) { return s.memory + s.link + (3 + s.heads) * s.padded_slots; }

    Carry(const Sizes& s, real* next) {
        auto take = [&next](int64_t count) { return (next += count) - count; };
        memory = take(s.memory), link = take(s.link);
        usage = take(s.padded_slots), write = take(s.padded_slots), precedence = take(s.padded_slots);
        read = take(s.heads * s.padded_slots);
    }
};

// The backward of `read_forward`. carry.read holds the gradient of this step's weightings and becomes that of the step
// before; d_reads is the gradient of what was read. If this step wrote, `updates` takes the links back as well, and
// carry.write then holds the gradient of this step's write weighting.
inline void read_backward(const Sizes& s, const real* y, const WriteRecord& written, const real* precedence_before,
                          const real* read_before, const real* memory, const real* link, const real* link_before,
                          const ReadRecord& now, const real* d_reads, real* d, Carry& carry, real* d_precedence,
                          StepScratch& scratch) {
    const Fields& f = s.fields;
    const int64_t N = s.padded_slots;
    real *d_content = scratch.d_content, *d_norm = scratch.d_norm;
    fill(d_norm, N);
    for (int64_t r = 0; r < s.heads; r++) {
        real* d_weights = scratch.d_weights + r * N;
        match(memory, d_reads + r * s.width, s.width, N, d_weights);
        add_to(d_weights, carry.read + r * N, N);
        const real mode = s.p.links ? y[f.read_mode + 3 * r + 1] : 1;
        for (int64_t n = 0; n < N; n += lanes) store(d_content + n, mode * load(d_weights + n));
        if (s.p.links) d[f.read_mode + 3 * r + 1] = dot(d_weights, now.content + r * N, N);
        d[f.read_strength + r] = look_up_gradient(
            memory, written.norm, y + f.read_key + r * s.width, y[f.read_strength + r], s.similarity, s.width, N,
            now.similarity + r * N, now.content + r * N, d_content, scratch.d_product + r * N, d_norm,
            d + f.read_key + r * s.width);
    }
    matrix_gradient(memory, written.norm, d_norm, s.heads, scratch.d_product, y + f.read_key, now.weights, d_reads,
                    s.width, N, carry.memory);
    fill(carry.read, s.heads * N);
    if (!s.p.links) return;
    real *modes_back = scratch.modes, *modes_ahead = scratch.modes + s.heads;
    for (int64_t r = 0; r < s.heads; r++) {
        modes_back[r] = y[f.read_mode + 3 * r], modes_ahead[r] = y[f.read_mode + 3 * r + 2];
        for (int64_t n = 0; n < N; n += lanes) {
            store(scratch.scaled + r * N + n, modes_ahead[r] * load(scratch.d_weights + r * N + n));
            store(scratch.scaled + (s.heads + r) * N + n, modes_back[r] * load(read_before + r * N + n));
        }
    }
    fill(scratch.along, s.heads * N);
    fill(scratch.against, s.heads * N);
    const LinkBackward g{link,        link_before, written.weights, precedence_before, read_before,
                         scratch.d_weights, carry.link,  carry.write,     d_precedence,      scratch.along,
                         scratch.against,   scratch.scaled};
    links_backward(g, precedence_before != nullptr, s.heads, N);
    for (int64_t r = 0; r < s.heads; r++) {
        const real *along = scratch.along + r * N, *against = scratch.against + r * N, *wr = read_before + r * N;
        d[f.read_mode + 3 * r] = dot(against, wr, N);
        d[f.read_mode + 3 * r + 2] = dot(along, wr, N);
        for (int64_t n = 0; n < N; n += lanes)
            store(carry.read + r * N + n, modes_ahead[r] * load(along + n) + modes_back[r] * load(against + n));
    }
}

// The backward of `write_forward`. `memory` is that of before; carry.memory, carry.usage, carry.write and
// carry.precedence hold the gradients of what this step made, carry.write including that by the links, of which the
// precedence of before has got `d_precedence`; they become those of the step before.
inline void write_backward(const Sizes& s, const real* y, const WriteRecord& before, const real* read_before,
                           const real* memory, const WriteRecord& now, real* d, Carry& carry, real* d_precedence,
                           StepScratch& scratch) {
    const Fields& f = s.fields;
    const int64_t N = s.padded_slots;
    real* d_write = carry.write;
    if (s.p.links) {
        vec total{};
        for (int64_t n = 0; n < N; n += lanes) total += load(now.weights + n);
        const real kept = 1 - sum(total), lost = dot(carry.precedence, before.precedence, N);
        for (int64_t n = 0; n < N; n += lanes) {
            const vec d_now = load(carry.precedence + n);
            store(d_write + n, load(d_write + n) + d_now - lost);
            store(carry.precedence + n, kept * d_now + load(d_precedence + n));
        }
    }
    erase_and_add_backward(memory, now.weights, y + f.erase, y + f.write_vector, s.width, N, carry.memory, d_write,
                           d + f.erase, d + f.write_vector, scratch.parts);
    // w = g^w (c + g^a (a - c))
    const real allocation_gate = y[f.allocation_gate], write_gate = y[f.write_gate];
    real *d_content = scratch.d_content, *d_allocation = scratch.d_weights;
    const auto* order = reinterpret_cast<const integer*>(now.order);
    if (s.p.softmax_allocation)
        softmax_allocation(now.usage, y[f.allocation_strength], s.slots, N, scratch.products, scratch.allocation);
    else
        allocation_in_order(now.usage, s.p.usage_floor, s.slots, N, order, scratch.allocation);
    vec by_write{}, by_allocation{};
    for (int64_t n = 0; n < N; n += lanes) {
        const vec c = load(now.content + n), more = load(scratch.allocation + n) - c, d_w = load(d_write + n);
        by_write += d_w * (c + allocation_gate * more);
        by_allocation += d_w * more;
        store(d_allocation + n, d_w * (write_gate * allocation_gate));
        store(d_content + n, d_w * (write_gate * (1 - allocation_gate)));
    }
    d[f.write_gate] = sum(by_write);
    d[f.allocation_gate] = write_gate * sum(by_allocation);
    // c = C(M', k, beta)
    fill(scratch.d_norm, N);
    d[f.write_strength] = look_up_gradient(memory, before.norm, y + f.write_key, y[f.write_strength], s.similarity,
                                           s.width, N, now.similarity, now.content, d_content, scratch.d_product,
                                           scratch.d_norm, d + f.write_key);
    matrix_gradient(memory, before.norm, scratch.d_norm, 1, scratch.d_product, y + f.write_key, nullptr, nullptr,
                    s.width, N, carry.memory);
    // a of u, u of before
    if (s.p.softmax_allocation)
        d[f.allocation_strength] =
            softmax_allocation_backward(now.usage, y[f.allocation_strength], N, scratch.allocation, d_allocation,
                                        scratch.products, carry.usage);
    else
        sorted_allocation_backward(now.usage, s.p.usage_floor, s.slots, order, d_allocation, scratch.products,
                                   carry.usage);
    fill(d_write, N);
    usage_backward(before.usage, before.weights, read_before, y + f.free_gate, s.heads, N, carry.usage, carry.usage,
                   s.p.usage_gradient ? d_write : nullptr, carry.read, d + f.free_gate);
}

}  // namespace dnc
