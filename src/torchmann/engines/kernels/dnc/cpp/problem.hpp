// What the kernel is asked to do: sizes, options and tensors, as the caller fills them in.
#pragma once

#include <algorithm>

#include "vec.hpp"

namespace dnc {

enum ControllerKind : int64_t { LSTM, LAYER_NORM_LSTM, GRU, ELMAN };
enum StepKind : int8_t { HOLD = 0, READS = 1, WRITES = 2 };  // a dense step reads and writes

// Leaves of the state, in the order in which they are passed.
enum Leaf { H, C, LAST_READS, MEMORY, USAGE, WRITE_WEIGHTS, READ_WEIGHTS, PRECEDENCE, LINK, leaves };

// Weights, in the order in which they are passed; null where the controller or the options have none.
enum Weight {
    WEIGHT_IH,
    WEIGHT_HH,
    BIAS_IH,
    BIAS_HH,
    GAIN,
    SHIFT,
    NORM_GAIN,
    NORM_SHIFT,
    INTERFACE,
    INTERFACE_BIAS,
    weights
};

// Filled in by Python (ctypes) field by field: 64-bit integers, doubles, pointers. All tensors are contiguous, have the
// kernel's number type unless said otherwise, and a leading axis of ensemble members.
struct Problem {
    // sizes
    int64_t members, steps, batch, input, hidden, heads, slots, width, blocks;
    // options
    int64_t controller;          // a ControllerKind
    int64_t carry_normalised;    // layer-norm LSTM: the next step gets the normalised cell
    int64_t relu;                // Elman: ReLU in place of tanh
    int64_t output_norm;         // the controller's output is layer-normalised
    int64_t feedback;            // the controller sees the last reads
    int64_t links;               // temporal links
    int64_t softmax_allocation;  // allocation by softmax of non-usage in place of sorting
    int64_t oneplus;             // strengths by oneplus, else softplus
    int64_t tanh_keys;           // keys and write vectors through tanh
    int64_t usage_gradient;      // the gradient passes from usage into the write weighting of the step before
    int64_t gated;               // an attentive gate mixes the blocks' reads
    int64_t keep;                // fill the tape that the backward needs
    int64_t interval;            // write steps between two snapshots of memory and links
    int64_t threads;
    // limits; zero or less is none
    double clip_state, clip_interface;
    double norm_epsilon, output_norm_epsilon, epsilon, usage_floor;
    // inputs
    const real* x;           // [members, T, B, I]
    const int8_t* kinds;     // [T] StepKind; null: all dense
    const int64_t* lengths;  // [members, B]; null: T each
    const int8_t* reset;     // [members, T, B]; null: none
    const real* weight[weights];
    const real* state[leaves];  // before the first step, [members, B, ...]
    const real* fresh[leaves];  // where rows that are reset start
    // results
    real* output;  // [members, T, B, H]
    real* reads;   // [members, T, B, R W]
    real* final[leaves];
    real* tape;
    real* scratch;
    // gradients of the results; null: zero
    const real *d_output, *d_reads;
    const real* d_final[leaves];
    // gradients wanted; null: not wanted
    real* d_x;
    real* d_weight[weights];
    real* d_state[leaves];
    real* d_fresh[leaves];
};

// Where each field of the interface vector of a block begins.
struct Fields {
    int64_t read_key, read_strength, write_key, write_strength, erase, write_vector, free_gate, allocation_gate,
        write_gate, read_mode, allocation_strength, size;

    explicit Fields(const Problem& p) {
        int64_t next = 0;
        auto take = [&next](int64_t count) { return (next += count) - count; };
        read_key = take(p.heads * p.width);
        read_strength = take(p.heads);
        write_key = take(p.width);
        write_strength = take(1);
        erase = take(p.width);
        write_vector = take(p.width);
        free_gate = take(p.heads);
        allocation_gate = take(1);
        write_gate = take(1);
        read_mode = p.links ? take(3 * p.heads) : -1;
        allocation_strength = p.softmax_allocation ? take(1) : -1;
        size = next;
    }
};

// Which groups of rows of weight_ih and weight_hh make which groups of columns of the pre-activations. A GRU's candidate
// needs the parts from the input and from the state apart, so it has four groups of columns.
struct Gates {
    int64_t columns, rows;
    const int64_t *from_input, *from_state;

    explicit Gates(int64_t controller) {
        static constexpr int64_t same[] = {0, 1, 2, 3}, candidate_apart[] = {0, 1, 3};
        columns = controller == ELMAN ? 1 : 4;
        rows = controller == GRU ? 3 : columns;
        from_input = same;
        from_state = controller == GRU ? candidate_apart : same;
    }
};

// Sizes that follow from the problem; "padded" ones are multiples of `padding`.
struct Sizes {
    const Problem& p;
    Fields fields;
    Gates gate;
    int64_t T, B, hidden, padded_hidden, heads, slots, padded_slots, width, blocks;
    int64_t read_size, padded_reads;   // R W
    int64_t fed_back, seen, padded_seen;  // what the controller sees: input, reads, hidden
    int64_t gates;                     // columns of the pre-activations, padded
    int64_t extra;                     // what a controller keeps per step besides its gates
    int64_t interface, padded_interface;
    int64_t memory, link;              // numbers in the memory and in the links of a block
    int64_t used, written, read;       // number of steps that use, write, read the memory

    explicit Sizes(const Problem& problem) : p(problem), fields(problem), gate(problem.controller) {
        T = p.steps, B = p.batch, hidden = p.hidden, padded_hidden = padded(hidden);
        heads = p.heads, slots = p.slots, padded_slots = padded(slots), width = p.width, blocks = p.blocks;
        read_size = heads * width, padded_reads = padded(read_size);
        fed_back = p.feedback ? read_size : 0;
        seen = p.input + fed_back + hidden, padded_seen = padded(seen);
        gates = gate.columns * padded_hidden;
        extra = p.controller == LSTM              ? 2 * padded_hidden
                : p.controller == LAYER_NORM_LSTM ? 6 * padded_hidden + padding
                : p.controller == GRU             ? padded_hidden
                                                  : 0;
        interface = blocks * (fields.size + (p.gated ? heads : 0)), padded_interface = padded(interface);
        memory = width * padded_slots, link = p.links ? padded_slots * padded_slots : 0;
        used = written = read = 0;
        for (int64_t t = 0; t < T; t++) {
            const int8_t kind = kind_of(t);
            used += kind != HOLD, written += (kind & WRITES) != 0, read += (kind & READS) != 0;
        }
    }

    int8_t kind_of(int64_t t) const { return p.kinds ? p.kinds[t] : READS | WRITES; }
    int64_t snapshots() const { return (written + p.interval - 1) / p.interval; }
};

}  // namespace dnc
