// What the kernel is asked to do: sizes, options and tensors, as the caller fills them in.
#pragma once

#include "controller.hpp"
#include "matrix.hpp"
#include "timeline.hpp"

namespace ntm {

using namespace kernels;

constexpr int64_t most_layers = 4;  // of the controller
constexpr int64_t most_heads = 8;   // of a kind

// When heads act: all read heads before all write heads, after them, or in turn.
enum Order : int64_t { READ_FIRST, WRITE_FIRST, INTERLEAVED };

// Leaves of the state, in the order in which they are passed: h and c of each layer, then the others.
enum Leaf { H, C = most_layers, LAST_READS = 2 * most_layers, MEMORY, READ_WEIGHTS, WRITE_WEIGHTS, leaves };

// Weights, in the order in which they are passed: of each layer, a and b of the levels' mixture, and of the maps to the
// interface, each with a bias; null where there are none.
enum Weight {
    MIXING = most_layers * controller_weights,
    MAPS,
    weights = MAPS + 2 * (1 + most_layers),
};

enum Output { CONTROLLER_OUTPUT, READ_VECTORS, outputs };

// Filled in by Python (ctypes) field by field: 64-bit integers, doubles, pointers. All tensors are contiguous, have the
// kernel's number type unless said otherwise, and a leading axis of ensemble members.
struct Problem {
    // sizes
    int64_t members, steps, batch, input, hidden, layers, slots, width, reads, writes;
    int64_t levels;   // of memory; the read heads see the last
    int64_t written;  // write weightings: one for each write head, or for each level that has one
    int64_t taps;     // of the shift
    // options
    int64_t controller;        // a ControllerKind
    int64_t carry_normalised;  // layer-norm LSTM: the next step gets the normalised cell
    int64_t relu;              // Elman: ReLU in place of tanh
    int64_t feedback;          // the controller sees the last reads
    int64_t order;             // an Order
    int64_t coupled;           // M = w a + (1 - w) M: no erase vector
    int64_t tanh_keys;         // keys and add vectors through tanh
    int64_t structured;        // levels, each mixed with the one above it; they have an axis of the memory
    int64_t layered;           // layer k of the controller drives write head k, the top layer the read heads
    int64_t from_cell;         // the interface is a map of c, not of h; one layer
    int64_t keep;              // fill the tape that the backward needs
    int64_t threads;
    // limits; of those that clip, zero or less is none
    double clip_state, norm_epsilon;
    double similarity_inner, similarity_added, similarity_outer, similarity_scale;  // see Similarity
    double sharpening_epsilon;
    // inputs
    const real* x;           // [members, T, B, I]
    const int8_t* kinds;     // [T] StepKind; null: all dense
    const int64_t* lengths;  // [members, B]; null: T each
    const int8_t* reset;     // [members, T, B]; null: none
    const real* weight[weights];
    const real* state[leaves];  // before the first step, [members, B, ...]
    const real* fresh[leaves];  // where rows that are reset start
    // results
    real* output[outputs];  // [members, T, B, H] of the controller, [members, T, B, R W] of reads
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

// Where the fields of one head begin; -1 where it has none.
struct Head {
    int64_t key, strength, gate, shift, gamma, erase, add;
};

// A map from a layer of the controller to a part of the interface.
struct Map {
    int64_t layer, offset, size;
};

// Some heads that act together: the memory that they see is that after `before` of the step's writes.
struct Turn {
    bool writes;
    int64_t first, count, before;
};
struct Turns {
    Turn turn[2 * most_heads];
    int64_t count = 0, writes = 0;

    void add(bool writing, int64_t first, int64_t heads) {
        turn[count++] = {writing, first, heads, writes};
        writes += writing;
    }
};

// Sizes that follow from the problem; "padded" ones are multiples of `padding`.
struct Sizes {
    const Problem& p;
    Similarity similarity;
    int64_t T, B, hidden, padded_hidden, layers, slots, padded_slots, width, reads, writes, levels, written, taps;
    int64_t range;                      // furthest shift
    int64_t read_size, padded_reads;    // R W
    int64_t fed_back;                   // of these the controller sees
    int64_t memory, matrix;             // numbers of all levels and of one
    int64_t versions;                   // of the memory that a step which writes can leave
    int64_t read_fields, write_fields;  // numbers of all read heads' fields, of one write head's
    int64_t maps, padded_interface;
    int64_t used, written_steps, read_steps;

    explicit Sizes(const Problem& p)
        : p(p), similarity{real(p.similarity_inner), real(p.similarity_added), real(p.similarity_outer),
                           real(p.similarity_scale)} {
        T = p.steps, B = p.batch, hidden = p.hidden, padded_hidden = padded(hidden), layers = p.layers;
        slots = p.slots, padded_slots = padded(slots), width = p.width, reads = p.reads, writes = p.writes;
        levels = p.levels, written = p.written, taps = p.taps, range = taps / 2;
        read_size = reads * width, padded_reads = padded(read_size), fed_back = p.feedback ? read_size : 0;
        matrix = width * padded_slots, memory = levels * matrix;
        versions = p.order == INTERLEAVED ? writes : 1;
        read_fields = reads * (width + taps + 3), write_fields = (p.coupled ? 2 : 3) * width + taps + 3;
        maps = p.layered ? 1 + layers : 1;
        padded_interface = map(maps - 1).offset + padded(map(maps - 1).size);
        used = written_steps = read_steps = 0;
        for (int64_t t = 0; t < T; t++) {
            const int8_t kind = kind_of(t);
            used += kind != HOLD, written_steps += (kind & WRITES) != 0, read_steps += (kind & READS) != 0;
        }
    }

    int8_t kind_of(int64_t t) const { return kind_at(p.kinds, t); }

    Controller controller(int64_t layer) const {
        return {p.controller, layer ? hidden : p.input + fed_back, hidden, p.carry_normalised != 0, p.relu != 0,
                real(p.clip_state), real(p.norm_epsilon), p.weight + layer * controller_weights};
    }

    // The first map begins at the top layer; with a layered interface the others take a write head from each layer.
    Map map(int64_t number) const {
        if (!p.layered) return {layers - 1, 0, read_fields + writes * write_fields};
        if (number == 0) return {layers - 1, 0, read_fields};
        return {number - 1, padded(read_fields) + (number - 1) * padded(write_fields), write_fields};
    }

    // The interface has each field for all heads together, but a layered one each write head by itself.
    Head read_head(int64_t r) const { return head(0, r, reads, 0); }
    Head write_head(int64_t number) const {  // of a weighting: levels may share one head
        const int64_t head_number = writes == 1 ? 0 : number;
        if (p.layered) return head(map(1 + head_number).offset, 0, 1, p.coupled ? 1 : 2);
        return head(read_fields, head_number, writes, p.coupled ? 1 : 2);
    }

    Turns turns(int8_t kind) const {
        Turns turns;
        if (kind == READS || (kind == (READS | WRITES) && p.order == READ_FIRST)) turns.add(false, 0, reads);
        if (kind == WRITES || (kind == (READS | WRITES) && p.order != INTERLEAVED)) turns.add(true, 0, written);
        if (kind == (READS | WRITES) && p.order == WRITE_FIRST) turns.add(false, 0, reads);
        for (int64_t i = 0; kind == (READS | WRITES) && p.order == INTERLEAVED && i < std::max(reads, writes); i++) {
            if (i < reads) turns.add(false, i, 1);
            if (i < writes) turns.add(true, i, 1);
        }
        return turns;
    }

  private:
    // Head `number` of `heads`, whose fields begin at `at` and have so many vectors to write with.
    Head head(int64_t at, int64_t number, int64_t heads, int64_t vectors) const {
        auto take = [&](int64_t size) {
            const int64_t mine = at + number * size;
            at += heads * size;
            return mine;
        };
        Head h{};
        h.key = take(width), h.strength = take(1), h.gate = take(1), h.shift = take(taps), h.gamma = take(1);
        h.erase = vectors == 2 ? take(width) : -1;
        h.add = vectors ? take(width) : -1;
        return h;
    }
};

}  // namespace ntm
