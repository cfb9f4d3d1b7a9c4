// What the kernel is asked to do: sizes, options and tensors, as the caller fills them in.
#pragma once

#include <algorithm>

#include "vec.hpp"

namespace armin {

using namespace kernels;

enum StepKind : int8_t { HOLD = 0, READS = 1, WRITES = 2 };  // a dense step reads and writes
enum Normalisation : int64_t { NONE, UNIT, LAYER_NORM };

// Leaves of the state, in the order in which they are passed.
enum Leaf { H, C, LAST_READS, MEMORY, READ_WEIGHTS, FILLED, USAGE, leaves };

// Weights, in the order in which they are passed: those of the five maps first. Null where there are none.
enum Weight {
    ADDRESS,  // [x; h or c; u / |u|] to the logits, or to what the slots are compared with
    ADDRESS_BIAS,
    FIRST,  // [x; r; h] to g^h, g^r (ARMIN) or i, f, o, alpha and beta (TARDIS)
    FIRST_BIAS,
    SECOND,  // [x; gated r; gated h] to i, f, g, o^h, o^r (ARMIN) or g (TARDIS)
    SECOND_BIAS,
    ENTRY,  // [h] or [x; h] to what is stored; null: h itself
    ENTRY_BIAS,
    SHOWN,  // an entry to what its slot shows to the comparison
    GAIN,
    SHIFT,
    PEEPHOLE,
    KEYED,  // [N, Q], what the slots' keys show to the comparison
    SCORE,
    NORM_GAIN,
    NORM_SHIFT,
    KEYS,  // [N, key] where a read holds them
    TEMPERATURE,
    weights
};

enum Noise { ADDRESS_NOISE, GATE_NOISE, KEPT_H, KEPT_C, noises };
enum Output { CONTROLLER_OUTPUT, READ_VECTORS, outputs };

constexpr real norm_epsilon = 1e-3;  // of every layer normalisation in these cells

// Filled in by Python (ctypes) field by field: 64-bit integers, doubles, pointers. All tensors are contiguous, have the
// kernel's number type unless said otherwise, and a leading axis of ensemble members.
struct Problem {
    // sizes
    int64_t members, steps, batch, input, hidden, slots, width;
    // options
    int64_t tardis;            // TARDIS's LSTM, else ARMIN's cell
    int64_t layer_norm;        // of ARMIN's gates and state
    int64_t squash_state;      // ARMIN: tanh around the new state
    int64_t squash_reads;      // ARMIN: tanh around the reads in the output
    int64_t output_reads;      // ARMIN: reads in the output
    int64_t zoned_output;      // TARDIS: the output is h after zoneout
    int64_t by_cell;           // the address is made from c, else from h
    int64_t entry_from_input;  // the entry is made from x, too
    int64_t query;             // Q, width of the comparison; 0: the address fields are the logits
    int64_t key;               // of a slot, in a read; 0: none
    int64_t one_hot;           // one slot is read, else all of them, weighted
    int64_t penalty_gradient;  // the gradient passes through the penalty on the slot read last
    int64_t penalise_first;    // the penalty comes before the normalisation
    int64_t normalisation;     // a Normalisation, of the logits
    int64_t keep;              // fill the tape that the backward needs
    int64_t threads;
    // limits
    double gate_temperature, penalty;
    double keep_h, keep_c;  // shares of new values that zoneout takes without noise
    // inputs
    const real* x;           // [members, T, B, I]
    const int8_t* kinds;     // [T] StepKind; null: all dense
    const int64_t* lengths;  // [members, B]; null: T each
    const int8_t* reset;     // [members, T, B]; null: none
    const real* weight[weights];
    const real* noise[noises];  // [members, T, B, ...]
    const real* state[leaves];  // before the first step, [members, B, ...]
    const real* fresh[leaves];  // where rows that are reset start
    // results
    real* output[outputs];  // [members, T, B, ...]
    real* final[leaves];
    real* tape;
    real* scratch;
    // gradients of the results; null: zero
    const real* d_output[outputs];
    const real* d_final[leaves];
    // gradients wanted; null: not wanted
    real* d_x;
    real* d_weight[weights];
    real* d_state[leaves];
    real* d_fresh[leaves];
};

// A linear map: what it sees, of which the first `from_x` numbers are the input, and what it gives, in groups that are
// padded each.
struct Map {
    int64_t inputs = 0, padded_inputs = 0, from_x = 0;
    int64_t groups = 0, size[5] = {}, at[5] = {};
    int64_t outputs = 0, columns = 0;

    void sees(int64_t x, int64_t others) { from_x = x, inputs = x + others, padded_inputs = padded(inputs); }
    void gives(int64_t count) {
        size[groups] = count, at[groups++] = columns;
        outputs += count, columns += padded(count);
    }
};
constexpr int maps = 5;
constexpr int number_of(Weight map) { return map / 2; }

// One of the vectors that ARMIN layer-normalises: where it begins among the units, padded and as the weights have them.
struct Normed {
    int64_t at, unit, size;
};
enum NormedGroup { OF_FIRST = 0, OF_SECOND = 2, OF_STATE = 7, normed_groups };

// Sizes that follow from the problem; those named `wide_` are padded.
struct Sizes {
    const Problem& p;
    int64_t T, B, hidden, wide_hidden, slots, wide_slots, width, wide_width, query, wide_query;
    int64_t reads, wide_reads;  // of one read: the key, if it holds it, and the contents
    int64_t output;
    int64_t memory, shown;  // numbers in the memory, and in what its slots show
    int64_t units;          // in padded groups, that ARMIN normalises: what the first two maps give, and the new h
    int64_t read_steps;
    bool one_slot;  // every write goes to one slot: the one read last or an empty one
    Map map[maps];
    Normed normed[normed_groups];
    int64_t norm_size;  // gains

    explicit Sizes(const Problem& problem) : p(problem) {
        T = p.steps, B = p.batch, hidden = p.hidden, wide_hidden = padded(hidden);
        slots = p.slots, wide_slots = padded(slots), width = p.width, wide_width = padded(width);
        query = p.query, wide_query = padded(query), reads = p.key + width, wide_reads = padded(reads);
        const int64_t shown_reads = p.output_reads ? reads : 0;
        output = hidden + (p.tardis ? 0 : shown_reads);
        memory = slots * wide_width, shown = slots * wide_query;
        of(ADDRESS).sees(p.input, hidden + (query ? slots : 0));
        of(ADDRESS).gives(query ? query : slots);
        for (Weight step : {FIRST, SECOND}) of(step).sees(p.input, reads + hidden);
        if (p.tardis) {
            for (int64_t size : {hidden, hidden, hidden, int64_t(2)}) of(FIRST).gives(size);
            of(SECOND).gives(hidden);
        } else {
            for (int64_t size : {hidden, reads}) of(FIRST).gives(size);
            for (int64_t size : {hidden, hidden, hidden, hidden, shown_reads}) of(SECOND).gives(size);
        }
        if (p.weight[ENTRY]) {
            of(ENTRY).sees(p.entry_from_input ? p.input : 0, hidden);
            of(ENTRY).gives(width);
        }
        if (query) {
            of(SHOWN).sees(0, width);
            of(SHOWN).gives(query);
        }
        units = norm_size = 0;
        if (p.layer_norm)
            for (int q = 0; q < normed_groups; q++) {
                const int64_t size = q < OF_SECOND  ? of(FIRST).size[q]
                                     : q < OF_STATE ? of(SECOND).size[q - OF_SECOND]
                                                    : hidden;
                normed[q] = {units, norm_size, size};
                units += padded(size), norm_size += size;
            }
        read_steps = 0, one_slot = p.one_hot;
        for (int64_t t = 0; t < T; t++) {
            read_steps += (kind_of(t) & READS) != 0;
            one_slot = one_slot && kind_of(t) != WRITES;
        }
    }

    Map& of(Weight step) { return map[number_of(step)]; }
    const Map& of(Weight step) const { return map[number_of(step)]; }
    int8_t kind_of(int64_t t) const { return p.kinds ? p.kinds[t] : READS | WRITES; }
    int64_t row(int64_t member, int64_t t, int64_t b) const { return (member * T + t) * B + b; }
    // A member's weight of so many numbers; null where there is none.
    const real* weight(Weight which, int64_t member, int64_t size) const {
        return p.weight[which] ? p.weight[which] + member * size : nullptr;
    }
    // Noise of a step and row, of so many numbers; null where none is given.
    const real* noise(Noise which, int64_t at, int64_t size) const {
        return p.noise[which] ? p.noise[which] + at * size : nullptr;
    }
};

}  // namespace armin
