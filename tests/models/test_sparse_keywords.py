"""Each keyword of `SAM` and `SDNC` changes what it says that it changes; a new keyword needs a line in CHECKS."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.models.helpers import make_big, twins
from torch import Tensor

import torchmann as tm
from torchmann.cells import FeedForwardCell, LSTMCell
from torchmann.core import OptionError
from torchmann.functional import content_weighting, cosine_per_width
from torchmann.memories import SparseDNCMemory, SparseMemory, Uniform, VisibleMemory
from torchmann.memories.search import FaissSearch, nearness

T, B = 6, 3

Model = type[tm.SAM] | type[tm.SDNC]


def make(model: Model, **options: Any) -> tm.Recurrent:
    return model(**({"input_size": 4, "hidden_size": 6, "slots": 9, "width": 3} | options))


def inputs(**options: Any) -> Tensor:
    return torch.randn(T, B, 4, **options)


def record(model: tm.Recurrent, x: Tensor | None = None) -> tm.Recorder:
    with tm.Recorder(model) as recorder:
        model(inputs() if x is None else x)
    return recorder


def sizes(model: Model) -> None:
    recorder = record(model(4, 6, slots=9, width=2, reads=4, writes=2, nearest=3))
    assert recorder["state.memory.memory"].shape == (T, B, 9, 2)
    assert recorder["state.memory.read_slots"].shape == (T, B, 4, 3)
    assert recorder["memory.read_weights"].shape == (T, B, 4, 9)
    assert recorder["memory.write_weights"].shape == (T, B, 2, 9)
    assert recorder["state.controller.h"].shape == (T, B, 6)
    assert recorder["state.reads"].shape == (T, B, 8)


def output_size(model: Model) -> None:
    assert make(model)(inputs())[0].shape == (T, B, 6), "as nn.LSTM"
    assert make(model, output_size=9)(inputs())[0].shape == (T, B, 9)


def nearest(model: Model) -> None:
    for K in (1, 4, 9):
        weights = record(make(model, nearest=K))["memory.read_weights"]
        assert ((weights > 0).sum(-1) <= K).all() and (weights > 0).any()
    with pytest.raises(OptionError, match="nearest must be at most slots = 9, got 10"):
        make(model, nearest=10)


def link_entries(model: Model) -> None:
    for entries in (1, 9):
        _, state = make(model, link_entries=entries)(inputs())
        assert state.memory.links.forward.values.shape == (B, 1, 9, entries)
    assert make(model, link_entries=2, variant="visible").cell.memory.visible == 4 + 2 * 2 + 1


def link_rule(model: Model) -> None:
    one, both = twins(make(model, link_entries=9), make(model, link_entries=9, link_rule="dnc"))
    x = inputs()
    assert not torch.allclose(one(x)[1].memory.links.forward.values, both(x)[1].memory.links.forward.values)


def preset(model: Model) -> None:
    released = make(model, preset="released", link_entries=4) if model is tm.SDNC else make(model, preset="released")
    memory = released.cell.memory
    assert isinstance(memory, VisibleMemory) and "read_strength" not in memory.fields
    assert len(released.initial_state(B).controller.layers) == 2
    assert (released.initial_state(B).memory.memory == 0.005).all()
    assert make(model, preset="released", layers=1).initial_state(B).controller.h.any(-1).sum() == 0
    assert memory.link_entries == (4 if model is tm.SDNC else None)
    with pytest.raises(OptionError, match=f"unknown preset of {model.__name__} 'relased': did you mean 'released'"):
        make(model, preset="relased")


def variant(model: Model) -> None:
    assert type(make(model).cell.memory) is (SparseMemory if model is tm.SAM else SparseDNCMemory)
    visible = make(model, variant="visible")
    assert visible.cell.memory.search.similarity is nearness and visible(inputs())[0].shape == (T, B, 6)
    with pytest.raises(OptionError, match="variant='visible' has one write head, got writes=2"):
        make(model, variant="visible", reads=2, writes=2)
    with pytest.raises(OptionError, match="unknown variant 'visble': did you mean 'visible'"):
        make(model, variant="visble")


def strength(model: Model) -> None:
    one_plus, soft = twins(make(model), make(model, strength="softplus"))
    x = inputs()[:1]
    found = [record(each, x)["memory.read_strength"] for each in (one_plus, soft)]
    torch.testing.assert_close(found[0], 1 + found[1])
    without = make(model, strength=None).cell.memory
    assert "read_strength" not in without.fields
    assert without.interface_size == one_plus.cell.memory.interface_size - 1


def delta(model: Model) -> None:
    x = inputs()
    for limit, accessed in ((0.0, True), (2.0, False)):
        elapsed = make(model, delta=limit)(x)[1].memory.elapsed
        assert bool((elapsed < T).any()) is accessed


def index(model: Model) -> None:
    pytest.importorskip("faiss")
    for variant in ("paper", "visible"):
        assert type(make(model, index="faiss", variant=variant).cell.memory.search) is FaissSearch
    with pytest.raises(OptionError, match="unknown index 'exakt': did you mean 'exact'"):
        make(model, index="exakt")


def similarity(model: Model) -> None:
    memory = make(model, similarity="cosine_per_width", nearest=9).cell.memory
    fields = {"read_query": torch.randn(B, 1, 3), "read_strength": torch.full((B, 1), 2.0)}
    contents = torch.randn(B, 9, 3)
    slots, weights, _ = memory.look_up(fields, contents)
    expected = content_weighting(cosine_per_width(fields["read_query"], contents), fields["read_strength"])
    torch.testing.assert_close(weights, expected.gather(-1, slots))
    with pytest.raises(OptionError, match="unknown similarity 'cosin'"):
        make(model, similarity="cosin")


def epsilon(model: Model) -> None:
    contents = torch.zeros(B, 9, 3)
    contents[:, 4, 0] = 2e-3
    fields = {"read_query": contents[:, 4:5], "read_strength": torch.full((B, 1), 5.0)}
    weights = [make(model, epsilon=value).cell.memory.look_up(fields, contents)[1].amax() for value in (1e-12, 1e-3)]
    assert weights[0] > 0.9 and weights[1] < 0.3


def initial_value(model: Model) -> None:
    for kind in ("paper", "visible"):
        state = make(model, initial_value=0.125, variant=kind).initial_state(B)
        assert (state.memory.memory == 0.125).all() and (state.reads == 0.125).all()
    state = make(model).initial_state(B)
    assert not any(leaf.any() for name, leaf in state.flatten().items() if "slots" not in name)


def controller(model: Model) -> None:
    assert type(make(model).cell.controller) is LSTMCell
    assert type(make(model, controller="feedforward").cell.controller) is FeedForwardCell
    with pytest.raises(OptionError, match="unknown controller 'grru': did you mean 'gru'"):
        make(model, controller="grru")


def layers(model: Model) -> None:
    assert len(make(model, layers=3)(inputs())[1].controller.layers) == 3


def writing(model: Model) -> None:
    memory = record(make(model, writing=Uniform(2)))["state.memory.memory"]
    before = [torch.zeros(B, 9, 3), *memory[:-1]]
    changed = [not torch.equal(new, old) for new, old in zip(memory, before, strict=True)]
    assert changed == [False, True] * 3


def clip(model: Model) -> None:
    free, clipped = twins(make(model), make(model, clip=0.4))
    make_big(free, clipped)
    (loose, loose_state), (tight, tight_state) = free(inputs()), clipped(inputs())
    assert loose.abs().max() > 0.4 >= tight.abs().max()
    assert loose_state.controller.c.abs().max() > 0.4 >= tight_state.controller.c.abs().max()


def init(model: Model) -> None:
    for name, scale in (("kaiming", lambda i, o: i), ("xavier", lambda i, o: i + o)):
        cell = make(model, hidden_size=100, width=60, init=name).cell
        for linear in (cell.interface.linear, cell.readout.linear):
            bound = (6 / scale(linear.in_features, linear.out_features)) ** 0.5
            assert 0.95 * bound < linear.weight.abs().max() <= bound and not linear.bias.any()
    with pytest.raises(OptionError, match="unknown init 'kaming': did you mean 'kaiming'"):
        make(model, init="kaming")


def batch_first(model: Model) -> None:
    plain, swapped = twins(make(model), make(model, batch_first=True))
    x = inputs()
    torch.testing.assert_close(swapped(x.transpose(0, 1))[0].transpose(0, 1), plain(x)[0])


def engine(model: Model) -> None:
    with pytest.raises(OptionError, match="unknown engine 'eag'"):
        make(model, engine="eag")


def device(model: Model) -> None:
    for kind in ("paper", "visible"):
        meta = make(model, device="meta", variant=kind)
        output, state = meta(inputs(device="meta"))
        assert output.is_meta and all(leaf.is_meta for leaf in state.flatten().values())


def dtype(model: Model) -> None:
    for kind in ("paper", "visible"):
        output, state = make(model, dtype=torch.float64, variant=kind)(inputs(dtype=torch.float64))
        assert output.dtype == torch.float64
        assert {leaf.dtype for leaf in state.flatten().values()} == {torch.float64, torch.int64}


CHECKS: dict[str, Callable[[Model], None]] = {
    **dict.fromkeys(("input_size", "hidden_size", "slots", "width", "reads", "writes"), sizes),
    "nearest": nearest,
    "link_entries": link_entries,
    "link_rule": link_rule,
    "output_size": output_size,
    "preset": preset,
    "variant": variant,
    "strength": strength,
    "delta": delta,
    "index": index,
    "similarity": similarity,
    "epsilon": epsilon,
    "initial_value": initial_value,
    "controller": controller,
    "layers": layers,
    "writing": writing,
    "clip": clip,
    "init": init,
    "batch_first": batch_first,
    "engine": engine,
    "device": device,
    "dtype": dtype,
}


@pytest.mark.parametrize(
    ("model", "keyword"), [(model, name) for model in (tm.SAM, tm.SDNC) for name in inspect.signature(model).parameters]
)
def test_keyword(model: Model, keyword: str) -> None:
    CHECKS[keyword](model)
