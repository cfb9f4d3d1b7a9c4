// Small matrix products: few rows times a packed weight matrix, and weight gradients over a whole sequence.
#pragma once

#include "vec.hpp"

namespace kernels {

#if defined(__AVX512F__)
constexpr int tile_rows = 8, tile_vectors = 3;  // 24 accumulators of 32 registers
#elif defined(__AVX__)
constexpr int tile_rows = 4, tile_vectors = 3;  // 12 of 16
#else
constexpr int tile_rows = 4, tile_vectors = 3;
#endif
constexpr int panel_columns = tile_vectors * lanes;

// to[k][n] = from[n][k] for k < rows, n < count.
inline void transpose_into(real* to, int64_t ldto, const real* from, int64_t ld, int64_t rows, int64_t count) {
    const int64_t whole_rows = rows / lanes * lanes, whole = count / lanes * lanes;
    for (int64_t n = 0; n < whole; n += lanes)
        for (int64_t k = 0; k < whole_rows; k += lanes) {
            vec tile[lanes];
            for (int i = 0; i < lanes; i++) tile[i] = load_loose(from + (n + i) * ld + k);
            transpose(tile);
            for (int i = 0; i < lanes; i++) store_loose(to + (k + i) * ldto + n, tile[i]);
        }
    for (int64_t k = 0; k < rows; k++)
        for (int64_t n = k < whole_rows ? whole : 0; n < count; n++) to[k * ldto + n] = from[n * ld + k];
}

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
            transpose_into(panel(start) + first_row * wide + (column - start), wide, source + begin * ld, ld, rows,
                           end - begin);
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

// c[r] = start[r] + a[r] @ panel for `Rows` rows and `Vectors` vectors of columns, all in registers.
template <int Rows, int Vectors>
inline void tile(const real* a, int64_t lda, const real* panel, int64_t inner, const real* start, int64_t start_stride,
                 real* c, int64_t ldc) {
    vec total[Rows][Vectors];
    UNROLLED
    for (int r = 0; r < Rows; r++)
        UNROLLED
        for (int v = 0; v < Vectors; v++) total[r][v] = load(start + r * start_stride + v * lanes);
    for (int64_t k = 0; k < inner; k++) {
        vec b[Vectors];
        UNROLLED
        for (int v = 0; v < Vectors; v++) b[v] = load(panel + (k * Vectors + v) * lanes);
        UNROLLED
        for (int r = 0; r < Rows; r++)
            UNROLLED
            for (int v = 0; v < Vectors; v++) total[r][v] += a[r * lda + k] * b[v];
    }
    UNROLLED
    for (int r = 0; r < Rows; r++)
        UNROLLED
        for (int v = 0; v < Vectors; v++) store(c + r * ldc + v * lanes, total[r][v]);
}

// The same for one row: four sums side by side, so that no addition waits for the one before it.
template <int Vectors>
inline void row_tile(const real* a, const real* panel, int64_t inner, const real* start, real* c) {
    constexpr int64_t wide = Vectors * lanes;
    vec first[Vectors], second[Vectors] = {}, third[Vectors] = {}, fourth[Vectors] = {};
    UNROLLED
    for (int v = 0; v < Vectors; v++) first[v] = load(start + v * lanes);
    int64_t k = 0;
    for (; k + 4 <= inner; k += 4)
        UNROLLED
        for (int v = 0; v < Vectors; v++) {
            const real* at = panel + k * wide + v * lanes;
            first[v] += a[k] * load(at), second[v] += a[k + 1] * load(at + wide);
            third[v] += a[k + 2] * load(at + 2 * wide), fourth[v] += a[k + 3] * load(at + 3 * wide);
        }
    for (; k < inner; k++)
        UNROLLED
        for (int v = 0; v < Vectors; v++) first[v] += a[k] * load(panel + k * wide + v * lanes);
    UNROLLED
    for (int v = 0; v < Vectors; v++) store(c + v * lanes, (first[v] + second[v]) + (third[v] + fourth[v]));
}

template <int Vectors>
inline void tile_of(int64_t rows, const real* a, int64_t lda, const real* panel, int64_t inner, const real* start,
                    int64_t start_stride, real* c, int64_t ldc) {
    switch (rows) {
        case 1: return row_tile<Vectors>(a, panel, inner, start, c);
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

// The gradient of a weight, sum over k of a[k][m] b[k][n]: the sum over all steps and rows of a sequence. It is taken in
// blocks that fit the first cache, both factors packed, for rows of a and b lie far apart.
constexpr int64_t block_inner = 128, block_rows = 8 * tile_rows;
typedef real tile_vec __attribute__((vector_size(tile_rows * sizeof(real)), aligned(sizeof(real))));

// Scratch for one block of rows of the result, `columns` wide.
struct GradientScratch {
    real *left, *right, *total;  // [tile][inner][tile_rows], [inner][panel], [rows][columns padded to panels]
    int64_t wide;

    static int64_t wide_of(int64_t columns) { return (columns + panel_columns - 1) / panel_columns * panel_columns; }
    static int64_t size(int64_t columns) {
        return block_inner * (block_rows + panel_columns) + block_rows * wide_of(columns);
    }
    GradientScratch(int64_t columns, real* at)
        : left(at), right(at + block_inner * block_rows), total(right + block_inner * panel_columns),
          wide(wide_of(columns)) {}
};

// c[m][n] += sum over k of left[k][m] right[k][n] for one tile.
inline void gradient_tile(const real* left, const real* right, int64_t inner, real* c, int64_t ldc) {
    vec total[tile_rows][tile_vectors];
    UNROLLED
    for (int m = 0; m < tile_rows; m++)
        UNROLLED
        for (int v = 0; v < tile_vectors; v++) total[m][v] = load(c + m * ldc + v * lanes);
    for (int64_t k = 0; k < inner; k++) {
        vec b[tile_vectors];
        UNROLLED
        for (int v = 0; v < tile_vectors; v++) b[v] = load(right + k * panel_columns + v * lanes);
        UNROLLED
        for (int m = 0; m < tile_rows; m++)
            UNROLLED
            for (int v = 0; v < tile_vectors; v++) total[m][v] += left[k * tile_rows + m] * b[v];
    }
    UNROLLED
    for (int m = 0; m < tile_rows; m++)
        UNROLLED
        for (int v = 0; v < tile_vectors; v++) store(c + m * ldc + v * lanes, total[m][v]);
}

// scratch.total[m][n] = sum over k of a[k][m] b[k][n] for m < rows <= block_rows and n < columns, and sums[m] that of
// a[k][m]. Reads up to `tile_rows` and `panel_columns` numbers behind the last row and column, which it leaves out.
inline void weight_gradient(int64_t rows, int64_t columns, int64_t inner, const real* a, int64_t lda, const real* b,
                            int64_t ldb, const GradientScratch& scratch, real* sums) {
    const int64_t tiles = (rows + tile_rows - 1) / tile_rows;
    fill(scratch.total, block_rows * scratch.wide);
    fill(sums, block_rows);
    for (int64_t begin = 0; begin < inner; begin += block_inner) {
        const int64_t count = std::min(block_inner, inner - begin);
        for (int64_t tile = 0; tile < tiles; tile++) {
            tile_vec total = *reinterpret_cast<const tile_vec*>(sums + tile * tile_rows);
            for (int64_t k = 0; k < count; k++) {
                const auto values = *reinterpret_cast<const tile_vec*>(a + (begin + k) * lda + tile * tile_rows);
                *reinterpret_cast<tile_vec*>(scratch.left + (tile * block_inner + k) * tile_rows) = values;
                total += values;
            }
            *reinterpret_cast<tile_vec*>(sums + tile * tile_rows) = total;
        }
        for (int64_t first = 0; first < columns; first += panel_columns) {
            for (int64_t k = 0; k < count; k++)
                UNROLLED
                for (int v = 0; v < tile_vectors; v++)
                    store(scratch.right + k * panel_columns + v * lanes,
                          load_loose(b + (begin + k) * ldb + first + v * lanes));
            for (int64_t tile = 0; tile < tiles; tile++)
                gradient_tile(scratch.left + tile * block_inner * tile_rows, scratch.right, count,
                              scratch.total + tile * tile_rows * scratch.wide + first, scratch.wide);
        }
    }
}

}  // namespace kernels
