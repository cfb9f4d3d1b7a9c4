"""Each keyword of `DNC` changes what it says that it changes; a new keyword needs a line in CHECKS."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.models.helpers import COSINES_OF_A_SHORT_WORD, make_big, softmax_of_five, twins
from torch import Tensor

import torchmann as tm
from torchmann.cells import ElmanCell, FeedForwardCell, GRUCell, LayerNormLSTMCell, LSTMCell
from torchmann.core import OptionError
from torchmann.functional.content import SIMILARITIES
from torchmann.memories import Uniform

T, B = 5, 3


def dnc(**options: Any) -> tm.DNC:
    return tm.DNC(**({"input_size": 4, "hidden_size": 6, "slots": 5, "width": 3} | options))


def inputs(**options: Any) -> Tensor:
    return torch.randn(T, B, 4, **options)


def record(model: tm.DNC, x: Tensor | None = None) -> tm.Recorder:
    with tm.Recorder(model) as recorder:
        model(inputs() if x is None else x)
    return recorder


def sizes() -> None:
    recorder = record(tm.DNC(4, 6, slots=7, width=2, reads=3, writes=2))
    assert recorder["state.memory.memory"].shape == (T, B, 7, 2)
    assert recorder["state.memory.read_weights"].shape == (T, B, 3, 7)
    assert recorder["state.memory.write_weights"].shape == (T, B, 2, 7)
    assert recorder["state.controller.h"].shape == (T, B, 6)
    assert recorder["state.reads"].shape == (T, B, 6)
    with pytest.raises(tm.core.ShapeError, match="4 features"):
        dnc()(torch.randn(T, B, 5))


def output_size() -> None:
    assert dnc()(inputs())[0].shape == (T, B, 6), "as nn.LSTM"
    assert dnc(output_size=9)(inputs())[0].shape == (T, B, 9)


def links() -> None:
    _, state = dnc(links=False)(inputs())
    assert state.memory.link == () and state.memory.precedence == ()
    _, state = dnc()(inputs())
    assert state.memory.link.any()
    weights = record(dnc(links=False))["memory.read_weights"]
    torch.testing.assert_close(weights.sum(-1), torch.ones(T, B, 1))  # content only


def allocation() -> None:
    x = inputs()
    sums = record(dnc(allocation="softmax"), x)["memory.allocation"].sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    assert record(dnc(allocation="softmax"), x)["memory.allocation_strength"].min() >= 1
    recorder = record(dnc(usage_floor=0.0), x)
    expected = 1 - recorder["memory.usage"].prod(-1, keepdim=True)
    torch.testing.assert_close(recorder["memory.allocation"].sum(-1), expected)


def controller() -> None:
    kinds = {
        "lstm": LSTMCell,
        "layernorm_lstm": LayerNormLSTMCell,
        "gru": GRUCell,
        "rnn": ElmanCell,
        "feedforward": FeedForwardCell,
    }
    for name, kind in kinds.items():
        model = dnc(controller=name)
        assert type(model.cell.controller) is kind
        assert model(inputs())[0].shape == (T, B, 6)
    assert not dnc(controller="gru_reset_before").cell.controller.reset_after
    with pytest.raises(OptionError, match="unknown controller 'grru': did you mean 'gru'"):
        dnc(controller="grru")


def layers() -> None:
    _, state = dnc(layers=3)(inputs())
    assert len(state.controller.layers) == 3
    assert state.controller.layers[2].h.shape == (B, 6)
    with pytest.raises(OptionError, match="layers must be an integer of at least 1, got 0"):
        dnc(layers=0)


def writing() -> None:
    memory = record(dnc(writing=Uniform(2)))["state.memory.memory"]
    changed = [not torch.equal(new, old) for new, old in zip(memory, [torch.zeros(B, 5, 3), *memory[:-1]], strict=True)]
    assert changed == [False, True, False, True, False]


def clip() -> None:
    free, clipped = twins(dnc(clip=None), dnc(clip=0.4))
    make_big(free, clipped)
    assert free(inputs())[0].abs().max() > 0.4 >= clipped(inputs())[0].abs().max()
    assert dnc().cell.readout.clip == 20.0


def clip_controller() -> None:
    for layers in (1, 2):
        free, clipped = twins(dnc(clip_controller=None, layers=layers), dnc(clip_controller=0.4, layers=layers))
        make_big(free, clipped)
        largest = [
            max(leaf.abs().max() for leaf in model(inputs())[1].controller.flatten().values())
            for model in (free, clipped)
        ]
        assert largest[0] > 0.4 >= largest[1]
    _, gru = twins(*(dnc(clip_controller=limit, controller="gru") for limit in (None, 0.4)))
    make_big(gru)
    assert gru(inputs())[1].controller.h.abs().max() > 0.4, "only LSTM controllers are clipped"
    assert dnc().cell.controller.clip == 20.0


def initial_memory() -> None:
    drawn = dnc(initial_memory="random").initial_state(B).memory.memory
    assert drawn.abs().max() <= 8**-0.5 and drawn[0].unique().numel() == 15 and drawn[0].equal(drawn[1])
    learned = dnc(initial_memory="learned", initial_value=0.5)
    assert (learned.initial_state(B).memory.memory == 0.5).all() and learned.cell.memory.initial_memory.weight.shape
    assert not dnc().initial_state(B).memory.memory.any()


def preset() -> None:
    released, by_hand = twins(dnc(preset="released"), dnc(strength="softplus"))
    x = inputs()
    torch.testing.assert_close(released(x), by_hand(x))
    assert dnc(preset="paper").cell.memory.usage_floor == 0.0 != dnc().cell.memory.usage_floor
    assert dnc(preset="paper", usage_floor=0.5).cell.memory.usage_floor == 0.5, "a keyword goes before the preset"
    uw = dnc(preset="uw")
    assert isinstance(uw.cell.controller, LayerNormLSTMCell) and uw.cell.controller.carry == "normalised"
    assert uw.cell.interface.clip == 20.0 and uw.cell.controller.clip is None
    assert (uw.initial_state(B).memory.memory == 1e-6).all()
    with pytest.raises(OptionError, match="unknown preset of DNC 'relased': did you mean 'released'"):
        dnc(preset="relased")


def clip_interface() -> None:
    free, clipped = twins(dnc(), dnc(clip_interface=0.1))
    make_big(free, clipped)
    bound = torch.tensor(0.1).sigmoid()
    gates = [record(model, torch.ones(T, B, 4))["memory.write_gate"] for model in (free, clipped)]
    assert gates[0].max() > bound + 0.1
    assert gates[1].max() <= bound + 1e-6 and gates[1].min() >= 1 - bound - 1e-6
    assert record(clipped)["memory.write_key"].abs().max() <= 0.1


def bias() -> None:
    assert {"cell.interface.linear.bias", "cell.readout.linear.bias"} <= dict(dnc().named_parameters()).keys()
    without = dict(dnc(bias=False).named_parameters())
    assert [name for name in without if "bias" in name] == ["cell.controller.bias"]


def init() -> None:
    normal, xavier = (dnc(hidden_size=100, slots=5, width=60, init=name) for name in ("normal", "xavier"))
    for module in ("interface", "readout"):
        linear = getattr(normal.cell, module).linear
        assert linear.weight.std().item() == pytest.approx(0.1, rel=0.03) and not linear.bias.any()
        linear = getattr(xavier.cell, module).linear
        bound = (6 / (linear.in_features + linear.out_features)) ** 0.5
        assert 0.95 * bound < linear.weight.abs().max() <= bound and not linear.bias.any()
    controller = normal.cell.controller
    assert controller.weight_ih.abs().max() <= (6 / (controller.input_size + 100)) ** 0.5, "keeps its own start"
    with pytest.raises(OptionError, match="unknown init 'xaver': did you mean 'xavier'"):
        dnc(init="xaver")


def strength() -> None:
    one_plus, soft = twins(dnc(), dnc(strength="softplus"))
    x = inputs()[:1]
    for name in ("memory.read_strength", "memory.write_strength"):
        torch.testing.assert_close(record(one_plus, x)[name], 1 + record(soft, x)[name])


def key_activation() -> None:
    free, squashed = twins(dnc(), dnc(key_activation="tanh"))
    x = 3 * inputs()[:1]
    for name in ("read_key", "write_key", "write_vector"):
        torch.testing.assert_close(record(squashed, x)[f"memory.{name}"], record(free, x)[f"memory.{name}"].tanh())


def weight_of_a_short_word(**options: Any) -> float:
    """What content addressing gives to the one slot that holds the key, when word and key have length 2e-3."""
    memory = torch.zeros(1, 5, 3)
    memory[0, 2, 0] = 2e-3
    fields = {
        "write_key": memory[:, 2:3],
        "write_strength": torch.full((1, 1), 5.0),
        "allocation_gate": torch.zeros(1, 1),
        "write_gate": torch.ones(1, 1),
    }
    return dnc(**options).cell.memory.write_weighting(torch.zeros(1, 5), fields, memory)[0, 0, 2].item()


def similarity() -> None:
    for name in SIMILARITIES:
        expected = softmax_of_five(COSINES_OF_A_SHORT_WORD[name])
        assert weight_of_a_short_word(similarity=name) == pytest.approx(expected, rel=1e-3)


def epsilon() -> None:
    assert weight_of_a_short_word(epsilon=1e-12) == pytest.approx(softmax_of_five(1.0), rel=1e-3)
    assert weight_of_a_short_word(epsilon=1e-3) == pytest.approx(0.2, rel=2e-2)


def usage_floor() -> None:
    x = inputs()[:1]
    for floor in (0.0, 1e-6, 0.25):
        allocation = record(dnc(usage_floor=floor), x)["memory.allocation"]
        torch.testing.assert_close(allocation[..., 0], torch.full((1, B, 1), 1 - floor))


def usage_gradient() -> None:
    x = inputs()
    found = []
    for model in twins(dnc(), dnc(usage_gradient=True)):
        state = model(x)[1].detach()
        state.memory.write_weights.requires_grad_()
        output, _ = model(x, state)
        gradient = torch.autograd.grad(output.sum(), state.memory.write_weights, allow_unused=True)[0]
        found.append((output, gradient))
    assert torch.equal(found[0][0], found[1][0]) and found[0][1] is None and found[1][1].any()


def read_mode_softmax() -> None:
    modes = record(dnc(reads=2))["memory.read_mode"]
    torch.testing.assert_close(modes.sum(-1), torch.ones(T, B, 2))
    modes = record(dnc(reads=2, read_mode_softmax="heads"))["memory.read_mode"]
    torch.testing.assert_close(modes.sum(-2), torch.ones(T, B, 3))


def initial_value() -> None:
    state = dnc(initial_value=0.125).initial_state(B)
    for leaf in (state.memory.memory, state.memory.write_weights, state.memory.read_weights, state.reads):
        assert (leaf == 0.125).all()
    for leaf in (state.memory.usage, state.memory.link, state.memory.precedence, state.controller.h):
        assert not leaf.any()
    assert not any(leaf.any() for leaf in dnc().initial_state(B).flatten().values())


def initial_reads() -> None:
    model = dnc(initial_reads="learned", initial_value=0.125)
    assert (model.initial_state(B).reads == 0.125).all()
    output, _ = model(inputs())
    output.sum().backward()
    assert model.cell.memory.initial_read.weight.grad.any()
    assert dnc(initial_reads="random").initial_state(B).reads.any()


def initial_controller() -> None:
    for layers in (1, 2):
        model = dnc(initial_controller="tanh", layers=layers)
        starts = [value for name, value in model.named_parameters() if "initial_" in name]
        assert len(starts) == 2 * layers
        for start in starts:
            torch.nn.init.normal_(start)
        leaves = model.initial_state(B).controller.flatten().values()
        for leaf, start in zip(leaves, starts, strict=True):
            torch.testing.assert_close(leaf, start.tanh().expand(B, 6))
    assert dnc(initial_controller="learned", controller="gru").cell.controller.initial_h.kind == "learned"
    assert not dnc(controller="feedforward", initial_controller="learned").initial_state(B).controller.h.any()


def batch_first() -> None:
    plain, swapped = twins(dnc(), dnc(batch_first=True))
    x = inputs()
    torch.testing.assert_close(swapped(x.transpose(0, 1))[0].transpose(0, 1), plain(x)[0])


def engine() -> None:
    auto, eager = twins(dnc(), dnc(engine="eager"))
    x = inputs()
    torch.testing.assert_close(eager(x)[0], auto(x)[0])
    with pytest.raises(OptionError, match="unknown engine 'eag'"):
        dnc(engine="eag")


def device() -> None:
    model = dnc(device="meta", layers=2)
    assert all(parameter.is_meta for parameter in model.parameters())
    output, state = model(inputs(device="meta"))
    assert output.is_meta and all(leaf.is_meta for leaf in state.flatten().values())


def dtype() -> None:
    model = dnc(dtype=torch.float64, layers=2)
    output, state = model(inputs(dtype=torch.float64))
    assert output.dtype == torch.float64 and all(leaf.dtype == torch.float64 for leaf in state.flatten().values())


CHECKS: dict[str, Callable[[], None]] = {
    **dict.fromkeys(("input_size", "hidden_size", "slots", "width", "reads", "writes"), sizes),
    "output_size": output_size,
    "links": links,
    "allocation": allocation,
    "controller": controller,
    "layers": layers,
    "initial_controller": initial_controller,
    "writing": writing,
    "clip": clip,
    "clip_controller": clip_controller,
    "preset": preset,
    "clip_interface": clip_interface,
    "bias": bias,
    "init": init,
    "strength": strength,
    "key_activation": key_activation,
    "similarity": similarity,
    "epsilon": epsilon,
    "usage_floor": usage_floor,
    "usage_gradient": usage_gradient,
    "read_mode_softmax": read_mode_softmax,
    "initial_memory": initial_memory,
    "initial_value": initial_value,
    "initial_reads": initial_reads,
    "batch_first": batch_first,
    "engine": engine,
    "device": device,
    "dtype": dtype,
}


@pytest.mark.parametrize("keyword", inspect.signature(tm.DNC).parameters)
def test_keyword(keyword: str) -> None:
    CHECKS[keyword]()
