// Small matrix products: few rows times a packed weight matrix, and weight gradients over a whole sequence.
#pragma once

#include "vec.hpp"

namespace dnc {

#if defined(__AVX512F__)
constexpr int tile_rows = 8, tile_vectors = 3;  // 24 accumulators of 32 registers
#elif defined(__AVX__)
constexpr int tile_rows = 4, tile_vectors = 3;  // 12 of 16
#else
constexpr int tile_rows = 4, tile_vectors = 3;
#endif
constexpr int panel_columns = tile_vectors * lanes;

// The right factor [inner, columns] of a product, cut into panels of `panel_columns` columns, each row-major.
// The last panel may be narrower; `columns` is a multiple of `lanes`.
struct Packed {
    real* data;
    int64_t inner, columns;

    static int64_t size(int64_t inner, int64_t columns) { return inner * columns; }
    int64_t width(int64_t first) const { return columns - first < panel_columns ? columns - first : panel_columns; }
    real* panel(int64_t first) const { return data + first * inner; }

    // Zero the whole: places that no block fills are padding.
    void clear() const { fill(data, inner * columns); }

    // Put source[column * ld + row] at (first_row + row, first_column + column): the transpose of a weight [out, in].
    void put_transposed(int64_t first_row, int64_t first_column, int64_t rows, int64_t count, const real* source,
                        int64_t ld) const {
        for (int64_t begin = 0; begin < count;) {
            const int64_t column = first_column + begin, start = column / panel_columns * panel_columns;
            const int64_t end = std::min(count, start + panel_columns - first_column), wide = width(start);
            real* to = panel(start) + first_row * wide + (column - start);
            for (int64_t k = 0; k < rows; k++)
                for (int64_t n = begin; n < end; n++) to[k * wide + n - begin] = source[n * ld + k];
            begin = end;
        }
    }

    // Put source[row * ld + column] at (first_row + row, first_column + column).
    void put(int64_t first_row, int64_t first_column, int64_t rows, int64_t count, const real* source,
             int64_t ld) const {
        for (int64_t begin = 0; begin < count;) {
            const int64_t column = first_column + begin, start = column / panel_columns * panel_columns;
            const int64_t end = std::min(count, start + panel_columns - first_column), wide = width(start);
            real* to = panel(start) + first_row * wide + (column - start);
            for (int64_t k = 0; k < rows; k++) copy(to + k * wide, source + k * ld + begin, end - begin);
            begin = end;
        }
    }
};

// c[r] = start[r] + a[r] @ panel for `Rows` rows and `Vectors` vectors of columns, all in registers. Few rows leave
// registers for several sums side by side, so that no addition waits for the one before it.
template <int Rows, int Vectors>
inline void tile(const real* a, int64_t lda, const real* panel, int64_t inner, const real* start, int64_t start_stride,
                 real* c, int64_t ldc) {
    constexpr int chains = Rows * Vectors > 6 ? 1 : Rows * Vectors > 3 ? 2 : 4;
    constexpr int64_t wide = Vectors * lanes;
    vec total[chains][Rows][Vectors] = {};
    for (int r = 0; r < Rows; r++)
        for (int v = 0; v < Vectors; v++) total[0][r][v] = load(start + r * start_stride + v * lanes);
    int64_t k = 0;
    for (; k + chains <= inner; k += chains)
        for (int chain = 0; chain < chains; chain++) {
            vec b[Vectors];
            for (int v = 0; v < Vectors; v++) b[v] = load(panel + (k + chain) * wide + v * lanes);
            for (int r = 0; r < Rows; r++)
                for (int v = 0; v < Vectors; v++) total[chain][r][v] += a[r * lda + k + chain] * b[v];
        }
    for (; k < inner; k++)
        for (int r = 0; r < Rows; r++)
            for (int v = 0; v < Vectors; v++) total[0][r][v] += a[r * lda + k] * load(panel + k * wide + v * lanes);
    for (int r = 0; r < Rows; r++)
        for (int v = 0; v < Vectors; v++) {
            vec all = total[0][r][v];
            for (int chain = 1; chain < chains; chain++) all += total[chain][r][v];
            store(c + r * ldc + v * lanes, all);
        }
}

template <int Vectors>
inline void tile_of(int64_t rows, const real* a, int64_t lda, const real* panel, int64_t inner, const real* start,
                    int64_t start_stride, real* c, int64_t ldc) {
    switch (rows) {
        case 1: return tile<1, Vectors>(a, lda, panel, inner, start, start_stride, c, ldc);
        case 2: return tile<2, Vectors>(a, lda, panel, inner, start, start_stride, c, ldc);
        case 3: return tile<3, Vectors>(a, lda, panel, inner, start, start_stride, c, ldc);
        case 4: return tile<4, Vectors>(a, lda, panel, inner, start, start_stride, c, ldc);
#if defined(__AVX512F__)
        case 5: return tile<5, Vectors>(a, lda, panel, inner, start, start_stride, c, ldc);
        case 6: return tile<6, Vectors>(a, lda, panel, inner, start, start_stride, c, ldc);
        case 7: return tile<7, Vectors>(a, lda, panel, inner, start, start_stride, c, ldc);
        default: return tile<8, Vectors>(a, lda, panel, inner, start, start_stride, c, ldc);
#endif
    }
}

// c [rows, b.columns] = start + a [rows, b.inner] @ b. `start` has a row for each row of c, start_stride apart; with a
// stride of zero it is one row, a bias.
inline void multiply(int64_t rows, const real* a, int64_t lda, const Packed& b, const real* start, int64_t start_stride,
                     real* c, int64_t ldc) {
    for (int64_t first = 0; first < b.columns; first += panel_columns) {
        const int64_t vectors = b.width(first) / lanes;
        for (int64_t row = 0; row < rows; row += tile_rows) {
            const int64_t count = std::min<int64_t>(tile_rows, rows - row);
            const real *left = a + row * lda, *from = start + row * start_stride + first;
            real* to = c + row * ldc + first;
            if (vectors == 3) tile_of<3>(count, left, lda, b.panel(first), b.inner, from, start_stride, to, ldc);
            else if (vectors == 2) tile_of<2>(count, left, lda, b.panel(first), b.inner, from, start_stride, to, ldc);
            else tile_of<1>(count, left, lda, b.panel(first), b.inner, from, start_stride, to, ldc);
        }
    }
}

// total[m][n] = sum over k of a[k][m] b[k][n] for `tile_rows` m and `Vectors` vectors of n.
template <int Vectors>
inline void gradient_tile(const real* a, int64_t lda, const real* b, int64_t ldb, int64_t inner,
                          vec (&total)[tile_rows][tile_vectors]) {
    vec sum[tile_rows][Vectors] = {};
    for (int64_t k = 0; k < inner; k++) {
        vec right[Vectors];
        for (int v = 0; v < Vectors; v++) right[v] = load_loose(b + k * ldb + v * lanes);
        for (int m = 0; m < tile_rows; m++)
            for (int v = 0; v < Vectors; v++) sum[m][v] += a[k * lda + m] * right[v];
    }
    for (int m = 0; m < tile_rows; m++)
        for (int v = 0; v < Vectors; v++) total[m][v] = sum[m][v];
}

// The gradient of a weight: to[m][n] = sum over k of a[k][m] b[k][n] for m < rows <= tile_rows, n < columns. Reads up
// to `panel_columns` numbers behind the last column, and `tile_rows` behind the last row, which it leaves out.
inline void weight_gradient(int64_t rows, int64_t columns, int64_t inner, const real* a, int64_t lda, const real* b,
                            int64_t ldb, real* to, int64_t ldto) {
    for (int64_t first = 0; first < columns; first += panel_columns) {
        const int64_t count = std::min<int64_t>(panel_columns, columns - first), vectors = (count + lanes - 1) / lanes;
        vec total[tile_rows][tile_vectors];
        if (vectors == 3) gradient_tile<3>(a, lda, b + first, ldb, inner, total);
        else if (vectors == 2) gradient_tile<2>(a, lda, b + first, ldb, inner, total);
        else gradient_tile<1>(a, lda, b + first, ldb, inner, total);
        for (int64_t m = 0; m < rows; m++)
            for (int64_t v = 0; v < vectors; v++)
                store_part(to + m * ldto + first + v * lanes, total[m][v], count - v * lanes);
    }
}

}  // namespace dnc
