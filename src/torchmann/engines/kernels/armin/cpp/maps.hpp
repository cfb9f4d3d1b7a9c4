// The five linear maps of a step: packed for either pass, and the gradients of their weights over the whole sequence.
#pragma once

#include "controller_weights.hpp"
#include "tape.hpp"

namespace armin {

constexpr Weight all_maps[] = {ADDRESS, FIRST, SECOND, ENTRY, SHOWN};

// The maps of one member, from what they see to what they give, with their biases; and v of the comparison, padded.
struct ForwardMaps {
    Packed packed[maps];
    real *bias[maps], *score;

    static int64_t size(const Sizes& s) {
        int64_t total = s.wide_query;
        for (const Map& map : s.map) total += Packed::size(map.inputs, map.columns) + map.columns;
        return total;
    }

    ForwardMaps(const Sizes& s, real* at) : score(at) {
        at += s.wide_query;
        for (int m = 0; m < maps; m++) {
            packed[m] = {at, s.map[m].inputs, s.map[m].columns};
            bias[m] = at + Packed::size(s.map[m].inputs, s.map[m].columns);
            at = bias[m] + s.map[m].columns;
        }
    }

    void pack(const Sizes& s, Weight which, int64_t member) const {
        const Map& map = s.of(which);
        const Packed& to = packed[number_of(which)];
        const real* weight = s.weight(which, member, map.outputs * map.inputs);
        const real* from = which == SHOWN ? nullptr : s.weight(Weight(which + 1), member, map.outputs);
        to.clear();
        fill(bias[number_of(which)], map.columns);
        for (int64_t q = 0, row = 0; q < map.groups; row += map.size[q++]) {
            to.put_transposed(0, map.at[q], map.inputs, map.size[q], weight + row * map.inputs, map.inputs);
            if (from) copy(bias[number_of(which)] + map.at[q], from + row, map.size[q]);
        }
        if (which == SHOWN) pad_rows(score, s.weight(SCORE, member, s.query), 1, s.query, s.wide_query);
    }

    // What a map gives, for some rows that lie side by side.
    void apply(Weight which, int64_t rows, const real* seen, int64_t stride, real* to) const {
        const Packed& map = packed[number_of(which)];
        multiply(rows, seen, stride, map, bias[number_of(which)], 0, to, map.columns);
    }
};

// The same the other way round: from the gradient of what a map gives to that of what it sees. Where no gradient of the
// input is wanted, its columns are left out.
struct BackwardMaps {
    Packed packed[maps];
    real *zeros, *score;

    static int64_t first(const Sizes& s, Weight which) { return s.p.d_x ? 0 : s.of(which).from_x; }
    static int64_t columns(const Sizes& s, Weight which) { return padded(s.of(which).inputs - first(s, which)); }
    static int64_t most_columns(const Sizes& s) {
        int64_t most = 0;
        for (Weight which : all_maps) most = std::max(most, columns(s, which));
        return most;
    }
    static int64_t size(const Sizes& s) {
        int64_t total = most_columns(s) + s.wide_query;
        for (Weight which : all_maps) total += Packed::size(s.of(which).columns, columns(s, which));
        return total;
    }

    BackwardMaps(const Sizes& s, real* at) : zeros(at), score(at + most_columns(s)) {
        at = score + s.wide_query;
        for (Weight which : all_maps) {
            packed[number_of(which)] = {at, s.of(which).columns, columns(s, which)};
            at += Packed::size(s.of(which).columns, columns(s, which));
        }
    }

    void pack(const Sizes& s, Weight which, int64_t member) const {
        const Map& map = s.of(which);
        const real* weight = s.weight(which, member, map.outputs * map.inputs);
        const int64_t from = first(s, which);
        packed[number_of(which)].clear();
        for (int64_t q = 0, row = 0; q < map.groups; row += map.size[q++])
            packed[number_of(which)].put(map.at[q], 0, map.size[q], map.inputs - from, weight + row * map.inputs + from,
                                         map.inputs);
        if (which == ADDRESS) fill(zeros, most_columns(s));
        if (which == SHOWN) pad_rows(score, s.weight(SCORE, member, s.query), 1, s.query, s.wide_query);
    }

    // The gradient of what a map sees, for some rows that lie side by side.
    void apply(Weight which, int64_t rows, const real* d, real* d_seen, int64_t stride) const {
        const Packed& map = packed[number_of(which)];
        multiply(rows, d, map.inner, map, zeros, 0, d_seen, stride);
    }
};

// The gradients of what the maps of one member give, [T, B, columns] each.
struct MapGradients {
    const Sizes& s;
    real* d_[maps];

    static int64_t size(const Sizes& s) {
        int64_t total = slack;
        for (const Map& map : s.map) total += s.T * s.B * map.columns;
        return padded(total);
    }
    MapGradients(const Sizes& s, real* at) : s(s) {
        for (int m = 0; m < maps; at += s.T * s.B * s.map[m++].columns) d_[m] = at;
    }
    real* at(Weight which, int64_t t, int64_t b) const {
        return d_[number_of(which)] + (t * s.B + b) * s.of(which).columns;
    }
};

// The gradients of the maps' weights, cut into pieces that threads can share.
struct WeightGradients {
    const Sizes& s;
    const Tape& tape;
    const MapGradients& d;
    int64_t member;
    real* scratch;

    static int64_t pieces(const Sizes& s) {
        int64_t total = 0;
        for (const Map& map : s.map)
            for (int64_t q = 0; q < map.groups; q++) total += row_blocks(map.size[q]);
        return total;
    }
    static int64_t scratch_size(const Sizes& s) {
        int64_t most = 0;
        for (const Map& map : s.map) most = std::max(most, map.inputs);
        return gradient_scratch_size(most);
    }

    void piece(int64_t number) const {
        for (Weight which : all_maps) {
            const Map& map = s.of(which);
            for (int64_t q = 0, row = 0; q < map.groups; row += map.size[q++]) {
                if (number < row_blocks(map.size[q])) return rows(which, q, row, number * block_rows);
                number -= row_blocks(map.size[q]);
            }
        }
    }

  private:
    // From row `unit` of group q on, whose rows begin at `row`.
    void rows(Weight which, int64_t q, int64_t row, int64_t unit) const {
        const Map& map = s.of(which);
        const WantedGradients to{s.p.d_weight, member};
        real* weight = to.at(which, map.outputs * map.inputs);
        real* bias = which == SHOWN ? nullptr : to.at(which + 1, map.outputs);
        if (!weight && !bias) return;
        const int64_t count = std::min(block_rows, map.size[q] - unit);
        const GradientScratch at(map.inputs, scratch + block_rows);
        weight_gradient(count, map.inputs, s.T * s.B, d.at(which, 0, 0) + map.at[q] + unit, map.columns,
                        tape.sees(which, 0, 0), map.padded_inputs, at, scratch);
        hand_out(weight, bias, row + unit, count, map.inputs, at.total, at.wide, scratch);
    }
};

}  // namespace armin
