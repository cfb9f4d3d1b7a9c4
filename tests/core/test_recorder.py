"""The recorder sees the inside of a model by name and changes nothing."""

from __future__ import annotations

import pytest
import torch

import torchmann as tm
from torchmann.core import OptionError

x = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0))


def dnc() -> tm.DNC:
    return tm.DNC(3, 4, slots=6, width=3, reads=2, engine="eager")


def test_outputs_are_the_same_while_recording() -> None:
    model = dnc()
    plain, plain_state = model(x)
    with tm.Recorder(model):
        recorded, recorded_state = model(x)
    assert torch.equal(plain, recorded)
    for name, leaf in plain_state.flatten().items():
        assert torch.equal(leaf, recorded_state.flatten()[name])


def test_internals_and_states_have_time_and_batch() -> None:
    model = dnc()
    with tm.Recorder(model) as recorder:
        _, state = model(x)
    assert recorder["memory.write_weights"].shape == (5, 2, 1, 6)
    assert recorder["cell.memory.read_mode"].shape == (5, 2, 2, 3)
    assert recorder["reads"].shape == (5, 2, 6)
    for name, leaf in state.flatten().items():
        assert torch.equal(recorder[f"state.{name}"][-1], leaf)
    assert recorder.names() == sorted(recorder.names()) and "cell.state.memory.link" in recorder.names()
    assert "usage" in recorder and "cell.memory.usage" in recorder and "sage" not in recorder


def test_the_step_of_each_value_is_known_where_a_memory_rests() -> None:
    model = tm.DNC(3, 4, slots=6, width=3, writing="uniform:2")
    with tm.Recorder(model) as recorder:
        dnc()(x)  # steps of another model count for nothing
        model(x)
    assert recorder.steps("memory.usage") == [1, 3] and len(recorder["memory.usage"]) == 2
    assert recorder.steps("state.memory.usage") == recorder.steps("reads") == [0, 1, 2, 3, 4]


def test_whether_a_recorder_listens() -> None:
    assert not tm.Recorder.listening()
    with tm.Recorder(dnc()):
        assert tm.Recorder.listening()
        with tm.Recorder.paused():
            assert not tm.Recorder.listening()
    assert not tm.Recorder.listening()


def test_a_short_name_means_the_internal_before_the_state() -> None:
    model = dnc()
    with tm.Recorder(model) as recorder:
        model(x)
    assert "cell.memory.usage" in recorder.names() and "cell.state.memory.usage" in recorder.names()
    assert torch.equal(recorder["usage"], recorder["cell.memory.usage"])
    assert torch.equal(recorder["link"], recorder["cell.state.memory.link"]), "no internal has that name"


def test_ambiguous_and_unknown_names_are_refused_with_the_choices() -> None:
    layers = [tm.DNC(3, 4, slots=6, width=3).cell, tm.DNC(4, 4, slots=6, width=3).cell]
    model = tm.Recurrent(tm.Stacked(layers))
    with tm.Recorder(model) as recorder:
        model(x)
    with pytest.raises(OptionError, match=r"'usage' is ambiguous.*cell\.cells\.0\.memory\.usage, cell\.cells\.1"):
        recorder["usage"]
    assert recorder["0.memory.usage"].shape == (5, 2, 6)
    with pytest.raises(OptionError, match=r"unknown recorded name 'usgae'.*Known: cell"):
        recorder["usgae"]


def test_only_the_named_model_is_recorded() -> None:
    model, other = dnc(), dnc()
    with tm.Recorder(model) as recorder:
        other(x)
    assert recorder.names() == []


def test_calls_follow_each_other() -> None:
    model = dnc()
    with tm.Recorder(model) as recorder:
        _, state = model(x[:2])
        model(x[2:], state, start=2)
    with tm.Recorder(model) as whole:
        model(x)
    torch.testing.assert_close(recorder["memory.read_weights"], whole["memory.read_weights"])


def test_values_are_detached_unless_the_graph_is_kept() -> None:
    model = dnc()
    with tm.Recorder(model) as recorder:
        model(x)
    assert not recorder["usage"].requires_grad
    with tm.Recorder(model, keep_graph=True) as recorder:
        model(x)
    recorder["memory.read_weights"][-1].square().sum().backward()
    assert model.cell.interface.linear.weight.grad.any()


def test_one_recorder_at_a_time_and_none_after_an_error() -> None:
    model = dnc()
    with tm.Recorder(model), pytest.raises(RuntimeError, match="a Recorder is already open"):
        tm.Recorder(model).__enter__()
    with pytest.raises(ZeroDivisionError), tm.Recorder(model):
        raise ZeroDivisionError
    with tm.Recorder(model) as recorder:
        model(x)
    assert recorder.names()
    frames = len(recorder["usage"])
    model(x)
    assert len(recorder["usage"]) == frames, "a closed recorder records no more"
