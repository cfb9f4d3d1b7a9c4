"""Every recorded value gets a panel, by what is known of its name or by its shape."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.analysis.microscope.watched import KINDS, watched

from torchmann import models, tasks
from torchmann.analysis.microscope.known import KNOWN
from torchmann.analysis.microscope.panels import MOST_CELLS, MOST_ROWS, Panel, axes_of, panel, recorded_panels
from torchmann.analysis.sample import record_sample
from torchmann.training.config import model_defaults


def panels_of(kind: str) -> dict[str, Panel]:
    return {shown.name: shown for shown in recorded_panels([record_sample(*watched(kind)).internals])}


@pytest.mark.parametrize("kind", KINDS)
def test_every_recorded_name_has_a_panel_with_its_values(kind: str) -> None:
    internals = record_sample(*watched(kind)).internals
    panels = {shown.name: shown for shown in recorded_panels([internals, internals])}
    assert set(panels) == set(internals)
    for name, shown in panels.items():
        moments, steps, _, lanes, _, _ = shown.values_MTKLNW.shape
        assert (moments, steps) == (2, len(internals[name])) and lanes == len(shown.lanes)
        np.testing.assert_array_equal(shown.values_MTKLNW[1].ravel(), internals[name].ravel())


def test_panels_of_a_dnc() -> None:
    panels = panels_of("heads")
    weights = panels["memory.write_weights"]
    assert (weights.kind, weights.lanes, weights.axes) == ("raster", ("head 1", "head 2"), ("slot", ""))
    memory, link = panels["memory.memory"], panels["memory.link"]
    assert (memory.kind, memory.axes, memory.lanes) == ("matrix", ("slot", "place"), ("",))
    assert (link.kind, link.axes, link.lanes) == ("matrix", ("slot", "slot"), ("head 1", "head 2"))
    modes = panels["memory.read_mode"]
    assert modes.kind == "strips" and modes.lanes[:5] == tuple(
        f"head 1, {way}" for way in ("backward 1", "backward 2", "content", "forward 1", "forward 2")
    )
    assert panels["memory.usage"].limits == (0, 1) and memory.limits[0] == -memory.limits[1]
    assert [name for name in panels if name.split(".")[-1] in KNOWN] == sorted(
        (name for name in panels if name.split(".")[-1] in KNOWN),
        key=lambda name: list(KNOWN).index(name.split(".")[-1]),
    )


def test_blocks_are_an_axis_of_their_own_and_levels_are_lanes() -> None:
    panels = panels_of("dam")
    assert panels["memory.memory"].values_MTKLNW.shape[2:] == (2, 1, 5, 4)
    assert panels["memory.write_weights"].values_MTKLNW.shape[2:] == (2, 1, 5, 1)
    gate = panels["memory.attentive_gate"]
    assert gate.kind == "strips" and gate.lanes == ("block 1", "block 2") and gate.values_MTKLNW.shape[2] == 1
    assert panels_of("levels")["memory.memory"].lanes == ("level 1", "level 2")


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((), ()),
        ((3,), ("part",)),
        ((7,), ("slot",)),
        ((30,), ("entry",)),
        ((2, 7), ("part", "slot")),
        ((7, 2), ("slot", "entry")),
        ((30, 7), ("entry", "slot")),
        ((2, 3), ("part", "part")),
        ((2, 7, 7), ("part", "slot", "slot")),
        ((30, 2, 7, 5), ("part", "part", "slot", "entry")),
    ],
)
def test_unknown_names_go_by_shape(shape: tuple[int, ...], axes: tuple[str, ...]) -> None:
    assert axes_of("memory.something", shape, slots=7) == axes
    if shape:
        assert axes_of("memory.something", (2, *shape[1:]), slots=7, blocks=True)[0] == "block"


@given(st.lists(st.integers(1, 12), max_size=4), st.booleans())
def test_any_shape_gets_a_panel(shape: list[int], blocks: bool) -> None:
    values = np.arange(2 * 3 * math.prod(shape), dtype=float).reshape(2, 3, *shape)
    shown = panel("memory.something", values, axes_of("memory.something", shape, slots=7, blocks=blocks))
    moments, steps, _, lanes, _, _ = shown.values_MTKLNW.shape
    assert (moments, steps) == (2, 3) and len(shown.lanes) == lanes
    assert shown.values_MTKLNW.ravel()[0] == 0 and set(shown.values_MTKLNW.ravel()) <= set(values.ravel())


def test_what_is_too_large_is_cut_and_says_so() -> None:
    tall = panel("usage", np.zeros((1, 2, MOST_ROWS + 1)), ("slot",))
    assert tall.values_MTKLNW.shape[4] == MOST_ROWS and f"the first {MOST_ROWS} of {MOST_ROWS + 1} slots" in tall.hint
    wide = panel("memory", np.zeros((1, 2, 9, MOST_CELLS + 5)), ("slot", "place"))
    assert wide.values_MTKLNW.shape[4:] == (9, MOST_CELLS) and "places" in wide.hint and "slots" not in wide.hint


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        ([0.0, 0.5], (0, 1)),
        ([0.0, 12.0], (0, 12)),
        ([-2.0, 0.5], (-2, 2)),
        ([0.0, 0.1], (0, 0.1)),
        ([math.nan, math.inf], (0, 1)),
        ([0.0, 0.0], (0, 1)),
    ],
)
def test_colours_reach_as_far_as_the_values(values: list[float], limits: tuple[float, float]) -> None:
    assert panel("usage", np.array([[values]]), ("slot",)).limits == pytest.approx(limits)


def test_a_gate_is_always_shown_against_one() -> None:
    assert panel("write_gate", np.array([[0.0, 0.1]]), ()).limits == (0, 1)


def test_layers_are_told_apart() -> None:
    values = torch.zeros(2, 3)
    names = ("layers.0.memory.usage", "controller.layers.1.h", "h", "memory.hop_1", "memory.hop")
    shown = recorded_panels([dict.fromkeys(names, values)])
    titles = ["usage, layer 1", "hidden state, layer 2", "hidden state", "hop", "hop 2"]
    assert [each.title for each in shown] == titles


@pytest.mark.parametrize("name", models.names())
def test_every_model_has_its_panels(name: str) -> None:
    task = tasks.make("copy", bits=3, min_length=3, max_length=3)
    sizes = {key: value // 2 for key, value in model_defaults(name).items()}
    model = models.build(name, input_kind="vector", input_size=task.input_size, output_size=task.output_size, **sizes)
    internals = record_sample(model, task).internals
    assert {shown.name for shown in recorded_panels([internals])} == set(internals)
