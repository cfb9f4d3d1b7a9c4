"""Each keyword of `NTM` changes what it says that it changes; a new keyword needs a line in CHECKS."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.models.helpers import COSINES_OF_A_SHORT_WORD, make_big, softmax_of_five, twins
from torch import Tensor

import torchmann as tm
from torchmann.cells import FeedForwardCell, LSTMCell
from torchmann.core import OptionError, ShapeError
from torchmann.functional import cosine_product, read
from torchmann.functional.content import SIMILARITIES
from torchmann.memories import Uniform

T, B = 5, 3


def ntm(**options: Any) -> tm.NTM:
    return tm.NTM(**({"input_size": 4, "hidden_size": 6, "slots": 5, "width": 3} | options))


def inputs(**options: Any) -> Tensor:
    return torch.randn(T, B, 4, **options)


def record(model: tm.NTM, x: Tensor | None = None) -> tm.Recorder:
    with tm.Recorder(model) as recorder:
        model(inputs() if x is None else x)
    return recorder


def sizes() -> None:
    recorder = record(tm.NTM(4, 6, slots=7, width=2, reads=3, writes=2))
    assert recorder["state.memory.memory"].shape == (T, B, 7, 2)
    assert recorder["state.memory.read_weights"].shape == (T, B, 3, 7)
    assert recorder["state.memory.write_weights"].shape == (T, B, 2, 7)
    assert recorder["state.controller.h"].shape == (T, B, 6)
    assert recorder["state.reads"].shape == (T, B, 6)
    with pytest.raises(ShapeError, match="4 features"):
        ntm()(torch.randn(T, B, 5))


def output_size() -> None:
    assert ntm()(inputs())[0].shape == (T, B, 6), "as nn.LSTM"
    assert ntm(output_size=9)(inputs())[0].shape == (T, B, 9)


def controller() -> None:
    assert type(ntm().cell.controller) is LSTMCell
    model = ntm(controller="feedforward")
    assert type(model.cell.controller) is FeedForwardCell and model(inputs())[0].shape == (T, B, 6)
    with pytest.raises(OptionError, match="unknown controller 'feedfoward': did you mean 'feedforward'"):
        ntm(controller="feedfoward")


def layers() -> None:
    _, state = ntm(layers=3)(inputs())
    assert len(state.controller.layers) == 3


def writing() -> None:
    memory = record(ntm(writing=Uniform(2)))["state.memory.memory"]
    changed = [not torch.equal(memory[t], memory[t - 1]) for t in range(1, T)]
    assert changed == [True, False, True, False]


def head_input() -> None:
    model = ntm(head_input="c")
    x = inputs()
    recorder = record(model, x)
    raw = model.cell.interface.linear(recorder["state.controller.c"].flatten(0, 1))
    torch.testing.assert_close(recorder["memory.read_key"].view(T * B, 3), raw[:, :3])
    with pytest.raises(OptionError, match="unknown source of the interface 'cc'"):
        ntm(head_input="cc")


def shift_range() -> None:
    for reach in (0, 1, 3):
        assert record(ntm(shift_range=reach))["memory.read_shift"].shape == (T, B, 1, 2 * reach + 1)


def order() -> None:
    """Which memory the reads are made of: the one before the step, or the one after it."""
    x = inputs()
    for name, seen in (("read_first", -1), ("write_first", 0), ("interleaved", -1)):
        recorder = record(ntm(order=name), x)
        contents = recorder["state.memory.memory"]
        for t in range(1, T):
            expected = read(contents[t + seen], recorder["memory.read_weights"][t]).flatten(1)
            torch.testing.assert_close(recorder["reads"][t], expected)
    first, interleaved = twins(ntm(reads=2, writes=2), ntm(reads=2, writes=2, order="interleaved"))
    assert not torch.allclose(first(x)[0], interleaved(x)[0]), "read 1 sees write 0"


def erase() -> None:
    separate, coupled = ntm(), ntm(erase="coupled")
    assert separate.cell.memory.interface_size == coupled.cell.memory.interface_size + 3
    assert (record(coupled)["memory.write_erase"] == 1).all()
    gate = record(separate)["memory.write_erase"]
    assert (gate > 0).all() and (gate < 1).all()


def key_activation() -> None:
    free, squashed = twins(ntm(), ntm(key_activation="tanh"))
    x = 3 * inputs()[:1]
    for name in ("read_key", "write_key", "write_add"):
        torch.testing.assert_close(record(squashed, x)[f"memory.{name}"], record(free, x)[f"memory.{name}"].tanh())


def weight_of_a_short_word(**options: Any) -> float:
    """What content addressing gives to the one slot that holds the key, when word and key have length 2e-3."""
    memory = torch.zeros(1, 5, 3)
    memory[0, 2, 0] = 2e-3
    heads = {
        "key": memory[:, 2:3],
        "strength": torch.full((1, 1), 5.0),
        "gate": torch.ones(1, 1),
        "shift": torch.tensor([[[0.0, 1.0, 0.0]]]),
        "gamma": torch.ones(1, 1),
    }
    return ntm(**options).cell.memory.address(memory, torch.zeros(1, 1, 5), heads)[0, 0, 2].item()


def similarity() -> None:
    for name in SIMILARITIES:
        expected = softmax_of_five(COSINES_OF_A_SHORT_WORD[name])
        assert weight_of_a_short_word(similarity=name) == pytest.approx(expected, rel=1e-3)


def epsilon() -> None:
    assert weight_of_a_short_word(epsilon=1e-12) == pytest.approx(softmax_of_five(1.0), rel=1e-3)
    assert weight_of_a_short_word(epsilon=1e-3) == pytest.approx(0.2, rel=2e-2)


def sharpening_epsilon() -> None:
    x = inputs()[:1]
    sums = [record(model, x)["memory.read_weights"].sum() for model in twins(ntm(), ntm(sharpening_epsilon=1.0))]
    assert sums[0] == pytest.approx(B) and sums[1] < B / 2


def initial_memory() -> None:
    assert (ntm(initial_memory="constant").initial_state(B).memory.memory == 1e-6).all()
    for kind, squash in (("tanh", torch.tanh), ("sigmoid", torch.sigmoid), ("learned", lambda value: value)):
        model = ntm(initial_memory=kind)
        weight = torch.nn.init.normal_(model.cell.memory.initial_memory.weight)
        torch.testing.assert_close(model.initial_state(B).memory.memory, squash(weight).expand(B, 5, 3))
    random = ntm(initial_memory="random").initial_state(B).memory.memory
    assert random.any() and torch.equal(random[0], random[1])


def initial_weights() -> None:
    state = ntm(slots=128).initial_state(B).memory
    assert state.read_weights[0, 0, 0].item() == pytest.approx(0.6321, abs=1e-4)
    assert not ntm(initial_weights="constant").initial_state(B).memory.write_weights.any()


def initial_reads() -> None:
    assert not ntm().initial_state(B).reads.any()
    assert ntm(initial_reads="random").initial_state(B).reads.any()
    model = ntm(initial_reads="tanh")
    weight = torch.nn.init.normal_(model.cell.memory.initial_read.weight)
    torch.testing.assert_close(model.initial_state(B).reads, weight.tanh().expand(B, 3))


def initial_controller() -> None:
    model = ntm(initial_controller="learned")
    start = torch.nn.init.normal_(model.cell.controller.initial_c.weight)
    torch.testing.assert_close(model.initial_state(B).controller.c, start.expand(B, 6))
    assert not ntm().initial_state(B).controller.c.any()


def clip() -> None:
    free, clipped = twins(ntm(), ntm(clip=0.4))
    make_big(free, clipped)
    output, state = free(inputs())
    assert output.abs().max() > 0.4 and state.controller.c.abs().max() > 0.4
    output, state = clipped(inputs())
    assert output.abs().max() <= 0.4
    assert all(leaf.abs().max() <= 0.4 for leaf in state.controller.flatten().values())


def output_reads() -> None:
    model = ntm(output_reads=False)
    assert model.cell.readout.linear.in_features == 6 < ntm().cell.readout.linear.in_features
    first, second = (model.initial_state(B)._replace(reads=torch.full((B, 3), value)) for value in (0.0, 1.0))
    x = inputs()
    assert not torch.allclose(model(x, first)[0], model(x, second)[0]), "the controller sees them still"


def preset() -> None:
    released = ntm(preset="released").cell
    assert not released.readout.sees_reads and released.memory.key_activation is Tensor.tanh
    assert released.memory.similarity is cosine_product and released.controller.initial_h.kind == "tanh"
    with pytest.raises(OptionError, match="unknown preset of NTM 'uw'"):
        ntm(preset="uw")


def batch_first() -> None:
    plain, swapped = twins(ntm(), ntm(batch_first=True))
    x = inputs()
    torch.testing.assert_close(swapped(x.transpose(0, 1))[0].transpose(0, 1), plain(x)[0])


def engine() -> None:
    auto, eager = twins(ntm(), ntm(engine="eager"))
    x = inputs()
    torch.testing.assert_close(eager(x)[0], auto(x)[0])
    with pytest.raises(OptionError, match="unknown engine 'eag'"):
        ntm(engine="eag")


def device() -> None:
    model = ntm(device="meta", layers=2, initial_memory="random", initial_reads="tanh")
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    output, state = model(inputs(device="meta"))
    assert output.is_meta and all(leaf.is_meta for leaf in state.flatten().values())


def dtype() -> None:
    model = ntm(dtype=torch.float64, layers=2)
    output, state = model(inputs(dtype=torch.float64))
    assert output.dtype == torch.float64 and all(leaf.dtype == torch.float64 for leaf in state.flatten().values())


CHECKS: dict[str, Callable[[], None]] = {
    **dict.fromkeys(("input_size", "hidden_size", "slots", "width", "reads", "writes"), sizes),
    "output_size": output_size,
    "controller": controller,
    "layers": layers,
    "initial_controller": initial_controller,
    "writing": writing,
    "head_input": head_input,
    "shift_range": shift_range,
    "order": order,
    "erase": erase,
    "key_activation": key_activation,
    "similarity": similarity,
    "epsilon": epsilon,
    "sharpening_epsilon": sharpening_epsilon,
    "initial_memory": initial_memory,
    "initial_weights": initial_weights,
    "initial_reads": initial_reads,
    "clip": clip,
    "output_reads": output_reads,
    "preset": preset,
    "batch_first": batch_first,
    "engine": engine,
    "device": device,
    "dtype": dtype,
}


@pytest.mark.parametrize("keyword", inspect.signature(tm.NTM).parameters)
def test_keyword(keyword: str) -> None:
    CHECKS[keyword]()
