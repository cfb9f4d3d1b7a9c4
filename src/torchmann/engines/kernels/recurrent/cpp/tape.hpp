// The tape: what the forward pass leaves for the backward pass. Without `keep` it holds the last `ahead` steps.
#pragma once

#include "problem.hpp"

namespace recurrent {

struct Tape {
    const Sizes& s;
    real *seen_, *gates_, *extra_;

    static int64_t rows(const Sizes& s) { return s.B * (s.p.keep ? s.T : std::min(s.T, ahead)); }

    // Numbers that one member takes. A slack lets wide loads run over the end of an array.
    static int64_t size(const Sizes& s) {
        return rows(s) * (s.cell.padded_seen + s.cell.gates + s.cell.extra) + slack;
    }

    Tape(const Sizes& s, int64_t member)
        : s(s), seen_(s.p.tape + member * size(s)), gates_(seen_ + rows(s) * s.cell.padded_seen),
          extra_(gates_ + rows(s) * s.cell.gates) {}

    real* seen(int64_t t, int64_t b) const { return seen_ + at(t, b) * s.cell.padded_seen; }  // [x; h]
    real* gates(int64_t t, int64_t b) const { return gates_ + at(t, b) * s.cell.gates; }
    real* extra(int64_t t, int64_t b) const { return extra_ + at(t, b) * s.cell.extra; }

  private:
    int64_t at(int64_t t, int64_t b) const { return (s.p.keep ? t : t % ahead) * s.B + b; }
};

}  // namespace recurrent
