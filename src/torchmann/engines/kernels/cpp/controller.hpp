// A controller: its sizes and weights, and the element-wise part of its step, from pre-activations to the new state,
// and back. One row at a time; padding stays zero.
#pragma once

#include "activations.hpp"
#include "normalisation.hpp"

namespace kernels {

enum ControllerKind : int64_t { LSTM, LAYER_NORM_LSTM, GRU, ELMAN };

// Its weights, in the order in which they are passed; null where it has none.
enum ControllerWeight { WEIGHT_IH, WEIGHT_HH, BIAS_IH, BIAS_HH, GAIN, SHIFT, controller_weights };

// A controller of one layer. It sees [inputs; h], and its pre-activations are `columns` groups of [padded_hidden].
// Groups of rows of weight_ih and weight_hh make groups of columns: a GRU's candidate needs the parts from the input
// and from the state apart, so it has four groups of columns and three of rows.
struct Controller {
    int64_t kind, inputs, hidden;
    bool carry_normalised;  // layer-norm LSTM: the next step gets the normalised cell
    bool relu;              // Elman: ReLU in place of tanh
    real clip;              // limits h and c; zero or less: none
    real epsilon;           // of layer normalisation
    const real* const* weight;  // [controller_weights], each with a leading axis of members

    int64_t padded_hidden, seen, padded_seen;
    int64_t columns, rows;  // of groups
    const int64_t *from_input, *from_state;
    int64_t gates;  // numbers of the pre-activations
    int64_t extra;  // numbers that a step keeps besides them

    Controller(int64_t kind, int64_t inputs, int64_t hidden, bool carry_normalised, bool relu, real clip, real epsilon,
               const real* const* weight)
        : kind(kind), inputs(inputs), hidden(hidden), carry_normalised(carry_normalised), relu(relu), clip(clip),
          epsilon(epsilon), weight(weight), padded_hidden(padded(hidden)), seen(inputs + hidden),
          padded_seen(padded(seen)) {
        static constexpr int64_t same[] = {0, 1, 2, 3}, candidate_apart[] = {0, 1, 3};
        columns = kind == ELMAN ? 1 : 4;
        rows = kind == GRU ? 3 : columns;
        from_input = same;
        from_state = kind == GRU ? candidate_apart : same;
        gates = columns * padded_hidden;
        extra = kind == LSTM              ? 2 * padded_hidden
                : kind == LAYER_NORM_LSTM ? 6 * padded_hidden + padding
                : kind == GRU             ? padded_hidden
                                          : 0;
    }

    // How many numbers a weight has, and where those of a member are.
    int64_t size(int which) const {
        return which == WEIGHT_IH   ? rows * hidden * inputs
               : which == WEIGHT_HH ? rows * hidden * hidden
               : which >= GAIN      ? 5 * hidden
                                    : rows * hidden;
    }
    const real* of(int which, int64_t member) const {
        return weight[which] ? weight[which] + member * size(which) : nullptr;
    }
};

// A row's state, [padded_hidden] each; only LSTMs have c.
struct ControllerState {
    real *h, *c;
};

// i, f, g, o = sigma, sigma, tanh, sigma;  c = f c + i g;  h = o tanh(c); both clipped afterwards. Keeps [c before; c].
inline void lstm_forward(const Controller& self, real* gates, real* extra, ControllerState state) {
    const int64_t H = self.padded_hidden;
    const real clip = self.clip;
    for (int64_t j = 0; j < H; j += lanes) {
        const vec i = sigmoid(load(gates + j)), f = sigmoid(load(gates + H + j)), g = tanh(load(gates + 2 * H + j)),
                  o = sigmoid(load(gates + 3 * H + j)), before = load(state.c + j);
        const vec c = f * before + i * g, h = o * tanh(c);
        store(gates + j, i), store(gates + H + j, f), store(gates + 2 * H + j, g), store(gates + 3 * H + j, o);
        store(extra + j, before), store(extra + H + j, c);
        store(state.h + j, clip > 0 ? clamped(h, clip) : h);
        store(state.c + j, clip > 0 ? clamped(c, clip) : c);
    }
}

// d.h and d.c hold the gradients of the new state; d.c becomes that of c before, `d_gates` of the pre-activations.
inline void lstm_backward(const Controller& self, const real* gates, const real* extra, ControllerState d,
                          real* d_gates) {
    const int64_t H = self.padded_hidden;
    const real clip = self.clip;
    for (int64_t j = 0; j < H; j += lanes) {
        const vec i = load(gates + j), f = load(gates + H + j), g = load(gates + 2 * H + j),
                  o = load(gates + 3 * H + j);
        const vec before = load(extra + j), c = load(extra + H + j), squashed = tanh(c);
        vec d_h = load(d.h + j), d_c = load(d.c + j);
        if (clip > 0) d_h *= passes(o * squashed, clip), d_c *= passes(c, clip);
        d_c += d_h * o * (1 - squashed * squashed);
        store(d_gates + j, d_c * g * i * (1 - i));
        store(d_gates + H + j, d_c * before * f * (1 - f));
        store(d_gates + 2 * H + j, d_c * i * (1 - g * g));
        store(d_gates + 3 * H + j, d_h * squashed * o * (1 - o));
        store(d.c + j, d_c * f);
    }
}

// The four gates and c are layer-normalised; keeps [x_hat of i, f, g, o; c before; x_hat of c; inverse deviations].
inline void layer_norm_lstm_forward(const Controller& self, int64_t member, real* gates, real* extra,
                                    ControllerState state) {
    const int64_t H = self.padded_hidden, units = self.hidden;
    const real clip = self.clip;
    const real *gain = self.of(GAIN, member), *shift = self.of(SHIFT, member);
    real *before = extra + 4 * H, *c_hat = extra + 5 * H, *inverse = extra + 6 * H;
    for (int gate = 0; gate < 4; gate++) {
        inverse[gate] = normalise(gates + gate * H, units, H, self.epsilon);
        for (int64_t j = 0; j < H; j += lanes) {
            const vec hat = load(gates + gate * H + j);
            const vec y = hat * load_part(gain + gate * units + j, units - j) +
                          load_part(shift + gate * units + j, units - j);
            store(extra + gate * H + j, hat);
            store(gates + gate * H + j, gate == 2 ? tanh(y) : sigmoid(y));
        }
    }
    for (int64_t j = 0; j < H; j += lanes) {
        const vec c = load(gates + H + j) * load(state.c + j) + load(gates + j) * load(gates + 2 * H + j);
        store(before + j, load(state.c + j));
        store(c_hat + j, c);
        store(state.c + j, c);
    }
    inverse[4] = normalise(c_hat, units, H, self.epsilon);
    for (int64_t j = 0; j < H; j += lanes) {
        const int64_t left = units - j;
        const vec y = load(c_hat + j) * load_part(gain + 4 * units + j, left) + load_part(shift + 4 * units + j, left);
        const vec h = load(gates + 3 * H + j) * tanh(y), c = self.carry_normalised ? y : load(state.c + j);
        store(state.h + j, clip > 0 ? clamped(h, clip) : h);
        store(state.c + j, clip > 0 ? clamped(c, clip) : c);
    }
}

// As `lstm_backward`; d_gain and d_shift [5, padded_hidden] are added to, `scratch` is [padded_hidden].
inline void layer_norm_lstm_backward(const Controller& self, int64_t member, const real* gates, const real* extra,
                                     ControllerState d, real* d_gates, real* d_gain, real* d_shift, real* scratch) {
    const int64_t H = self.padded_hidden, units = self.hidden;
    const real clip = self.clip;
    const real *gain = self.of(GAIN, member), *shift = self.of(SHIFT, member);
    const real *before = extra + 4 * H, *c_hat = extra + 5 * H, *inverse = extra + 6 * H;
    for (int64_t j = 0; j < H; j += lanes) {
        const int64_t left = units - j;
        const vec i = load(gates + j), f = load(gates + H + j), g = load(gates + 2 * H + j),
                  o = load(gates + 3 * H + j);
        const vec y = load(c_hat + j) * load_part(gain + 4 * units + j, left) + load_part(shift + 4 * units + j, left);
        const vec squashed = tanh(y), c = self.carry_normalised ? y : f * load(before + j) + i * g;
        vec d_h = load(d.h + j), d_c = load(d.c + j);
        if (clip > 0) d_h *= passes(o * squashed, clip), d_c *= passes(c, clip);
        vec d_y = d_h * o * (1 - squashed * squashed);
        if (self.carry_normalised) d_y += d_c;
        store(d.c + j, self.carry_normalised ? vec{} : d_c);
        store(scratch + j, d_y);
        store(d_gates + 3 * H + j, d_h * squashed * o * (1 - o));
    }
    normalise_backward(scratch, c_hat, inverse[4], gain + 4 * units, units, H, d_gain + 4 * H, d_shift + 4 * H);
    for (int64_t j = 0; j < H; j += lanes) {
        const vec i = load(gates + j), f = load(gates + H + j), g = load(gates + 2 * H + j);
        const vec d_c = load(d.c + j) + load(scratch + j);
        store(d_gates + j, d_c * g * i * (1 - i));
        store(d_gates + H + j, d_c * load(before + j) * f * (1 - f));
        store(d_gates + 2 * H + j, d_c * i * (1 - g * g));
        store(d.c + j, d_c * f);
    }
    for (int gate = 0; gate < 4; gate++)
        normalise_backward(d_gates + gate * H, extra + gate * H, inverse[gate], gain + gate * units, units, H,
                           d_gain + gate * H, d_shift + gate * H);
}

// r, z = sigma;  n = tanh(n_x + r n_h);  h = (1 - z) n + z h. The gates become r, z, n, n_h; keeps h before.
inline void gru_forward(const Controller& self, real* gates, real* extra, ControllerState state) {
    const int64_t H = self.padded_hidden;
    for (int64_t j = 0; j < H; j += lanes) {
        const vec r = sigmoid(load(gates + j)), z = sigmoid(load(gates + H + j)), n_h = load(gates + 3 * H + j);
        const vec n = tanh(load(gates + 2 * H + j) + r * n_h), before = load(state.h + j);
        store(gates + j, r), store(gates + H + j, z), store(gates + 2 * H + j, n);
        store(extra + j, before);
        store(state.h + j, n + z * (before - n));
    }
}

// d.h becomes the part of the gradient of h before that does not go through the weights.
inline void gru_backward(const Controller& self, const real* gates, const real* extra, ControllerState d,
                         real* d_gates) {
    const int64_t H = self.padded_hidden;
    for (int64_t j = 0; j < H; j += lanes) {
        const vec r = load(gates + j), z = load(gates + H + j), n = load(gates + 2 * H + j),
                  n_h = load(gates + 3 * H + j);
        const vec d_h = load(d.h + j), d_n = d_h * (1 - z) * (1 - n * n);
        store(d_gates + j, d_n * n_h * r * (1 - r));
        store(d_gates + H + j, d_h * (load(extra + j) - n) * z * (1 - z));
        store(d_gates + 2 * H + j, d_n);
        store(d_gates + 3 * H + j, d_n * r);
        store(d.h + j, d_h * z);
    }
}

// h = tanh or relu of the pre-activation.
inline void elman_forward(const Controller& self, real* gates, ControllerState state) {
    for (int64_t j = 0; j < self.padded_hidden; j += lanes) {
        const vec total = load(gates + j), h = self.relu ? (total < 0 ? vec{} : total) : tanh(total);
        store(gates + j, h), store(state.h + j, h);
    }
}
inline void elman_backward(const Controller& self, const real* gates, ControllerState d, real* d_gates) {
    for (int64_t j = 0; j < self.padded_hidden; j += lanes) {
        const vec h = load(gates + j), slope = self.relu ? (h > 0 ? splat(1) : vec{}) : 1 - h * h;
        store(d_gates + j, load(d.h + j) * slope);
        store(d.h + j, vec{});
    }
}

inline void control(const Controller& self, int64_t member, real* gates, real* extra, ControllerState state) {
    switch (self.kind) {
        case LSTM: return lstm_forward(self, gates, extra, state);
        case LAYER_NORM_LSTM: return layer_norm_lstm_forward(self, member, gates, extra, state);
        case GRU: return gru_forward(self, gates, extra, state);
        default: return elman_forward(self, gates, state);
    }
}

// d.h becomes what of the gradient of h before does not go through the weights; d_norms is [10, padded_hidden].
inline void control_backward(const Controller& self, int64_t member, const real* gates, const real* extra,
                             ControllerState d, real* d_gates, real* d_norms, real* scratch) {
    switch (self.kind) {
        case LSTM: lstm_backward(self, gates, extra, d, d_gates); break;
        case LAYER_NORM_LSTM:
            layer_norm_lstm_backward(self, member, gates, extra, d, d_gates, d_norms, d_norms + 5 * self.padded_hidden,
                                     scratch);
            break;
        case GRU: return gru_backward(self, gates, extra, d, d_gates);
        default: return elman_backward(self, gates, d, d_gates);
    }
    fill(d.h, self.padded_hidden);
}

}  // namespace kernels
