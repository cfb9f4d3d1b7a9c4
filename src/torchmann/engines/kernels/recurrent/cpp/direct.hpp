// Products of one vector with a weight [outputs, inner] as it lies, inner >= lanes. To pack it first takes as long as
// five such products and makes each a little faster: for few steps it does not pay.
#pragma once

#include "vec.hpp"

namespace recurrent {

using namespace kernels;

// What the whole vectors of a row leave over: the lanes of the row's last vector, at `start`, that are none of theirs.
struct Rest {
    int64_t start;
    ivec lanes_left;

    explicit Rest(int64_t inner) : start(inner - lanes), lanes_left(lane_numbers >= integer(lanes - inner % lanes)) {}
    vec of(vec v) const { return lanes_left ? v : vec{}; }
};

// y [outputs] += weight x, for as many rows of the weight at once as a vector has lanes.
inline void add_product(const real* weight, int64_t outputs, int64_t inner, const real* x, real* y) {
    const Rest rest(inner);
    for (int64_t first = 0; first < outputs; first += lanes) {
        const int64_t count = std::min<int64_t>(lanes, outputs - first);
        const real* rows = weight + first * inner;
        vec total[lanes] = {};
        if (count == lanes)
            for (int64_t k = 0; k + lanes <= inner; k += lanes) {
                const vec v = load_loose(x + k);
                UNROLLED
                for (int i = 0; i < lanes; i++) total[i] += load_loose(rows + i * inner + k) * v;
            }
        else
            for (int64_t i = 0; i < count; i++)
                for (int64_t k = 0; k + lanes <= inner; k += lanes)
                    total[i] += load_loose(rows + i * inner + k) * load_loose(x + k);
        const vec v = rest.of(load_loose(x + rest.start));
        for (int64_t i = 0; i < count; i++) total[i] += load_loose(rows + i * inner + rest.start) * v;
        store_part(y + first, load_part(y + first, count) + sums(total), count);
    }
}

// y [inner] += d weight, `Rows` rows of the weight at once.
template <int Rows>
inline void add_rows(const real* weight, int64_t inner, const real* d, real* y) {
    auto total = [&](int64_t k) {
        vec sum{};
        UNROLLED
        for (int i = 0; i < Rows; i++) sum += d[i] * load_loose(weight + i * inner + k);
        return sum;
    };
    for (int64_t k = 0; k + lanes <= inner; k += lanes) store_loose(y + k, load_loose(y + k) + total(k));
    const Rest rest(inner);
    store_loose(y + rest.start, load_loose(y + rest.start) + rest.of(total(rest.start)));
}
inline void add_product_backward(const real* weight, int64_t outputs, int64_t inner, const real* d, real* y) {
    int64_t row = 0;
    for (; row + 8 <= outputs; row += 8) add_rows<8>(weight + row * inner, inner, d + row, y);
    for (; row < outputs; row++) add_rows<1>(weight + row * inner, inner, d + row, y);
}

}  // namespace recurrent
