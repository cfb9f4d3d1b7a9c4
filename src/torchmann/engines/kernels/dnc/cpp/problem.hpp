// What the kernel is asked to do: sizes, options and tensors, as the caller fills them in.
#pragma once

#include <algorithm>

#include "controller.hpp"
#include "matrix.hpp"
#include "timeline.hpp"

namespace dnc {

using namespace kernels;

// Leaves of the state, in the order in which they are passed.
enum Leaf { H, C, LAST_READS, MEMORY, USAGE, WRITE_WEIGHTS, READ_WEIGHTS, PRECEDENCE, LINK, leaves };

// Weights, in the order in which they are passed, those of the controller first; null where there are none.
enum Weight { NORM_GAIN = controller_weights, NORM_SHIFT, INTERFACE, INTERFACE_BIAS, weights };

enum Output { CONTROLLER_OUTPUT, READ_VECTORS, outputs };

// Filled in by Python (ctypes) field by field: 64-bit integers, doubles, pointers. All tensors are contiguous, have the
// kernel's number type unless said otherwise, and a leading axis of ensemble members.
struct Problem {
    // sizes
    int64_t members, steps, batch, input, hidden, heads, slots, width, blocks;
    int64_t interval;            // write steps between two snapshots of memory and links
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
    int64_t threads;
    // limits; of those that clip, zero or less is none
    double clip_state, norm_epsilon, clip_interface, output_norm_epsilon;
    double similarity_inner, similarity_added, similarity_outer, similarity_scale;  // see Similarity
    double usage_floor;
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

// Sizes that follow from the problem; "padded" ones are multiples of `padding`.
struct Sizes {
    const Problem& p;
    Fields fields;
    Controller controller;
    Similarity similarity;
    int64_t T, B, hidden, padded_hidden, heads, slots, padded_slots, width, blocks;
    int64_t read_size, padded_reads;   // R W
    int64_t fed_back;                  // of these the controller sees
    int64_t interface, padded_interface;
    int64_t memory, link;              // numbers in the memory and in the links of a block
    int64_t used, written, read;       // number of steps that use, write, read the memory

    explicit Sizes(const Problem& problem)
        : p(problem), fields(problem),
          controller(p.controller, p.input + (p.feedback ? p.heads * p.width : 0), p.hidden, p.carry_normalised, p.relu,
                     p.clip_state, p.norm_epsilon, p.weight),
          similarity{real(p.similarity_inner), real(p.similarity_added), real(p.similarity_outer),
                     real(p.similarity_scale)} {
        T = p.steps, B = p.batch, hidden = p.hidden, padded_hidden = padded(hidden);
        heads = p.heads, slots = p.slots, padded_slots = padded(slots), width = p.width, blocks = p.blocks;
        read_size = heads * width, padded_reads = padded(read_size);
        fed_back = p.feedback ? read_size : 0;
        interface = blocks * (fields.size + (p.gated ? heads : 0)), padded_interface = padded(interface);
        memory = width * padded_slots, link = p.links ? padded_slots * padded_slots : 0;
        used = written = read = 0;
        for (int64_t t = 0; t < T; t++) {
            const int8_t kind = kind_of(t);
            used += kind != HOLD, written += (kind & WRITES) != 0, read += (kind & READS) != 0;
        }
    }

    int8_t kind_of(int64_t t) const { return kind_at(p.kinds, t); }
    int64_t snapshots() const { return (written + p.interval - 1) / p.interval; }
};

}  // namespace dnc
