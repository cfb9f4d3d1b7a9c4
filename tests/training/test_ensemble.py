"""Members of an ensemble come to the numbers of their solo runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.training.test_backward import COPY as PENALISED
from tests.training.test_backward import penalised_model
from tests.training.test_loop import training as scaled
from tests.training.tiny import SIZES, tiny_config, tiny_settings

from torchmann.core import OptionError
from torchmann.training import Choice, Config, Ensemble, Measurement, NotFiniteError, Training
from torchmann.training.ensemble import NOT_FINITE
from torchmann.training.processes import Processes
from torchmann.training.run import training_of

SEEDS = 3
COPY = Choice("copy", {"bits": 2, "max_length": 4})
FIXED = Choice("copy", {"bits": 2, "min_length": 4, "max_length": 4})
STREAM = Choice("markov", {"symbols": 4, "steps": 5, "length": 60})
RMSPROP = Choice("rmsprop", {"lr": 1e-2, "eps": 1e-3})
"""With an epsilon that leaves gradients near zero near zero, so that rounding stays rounding."""
GATED = {"hidden_size": 8, "slots": 4}
DNC = SIZES["dnc"]


def seeds(model: str, options: dict[str, Any], task: Choice = COPY, **settings: Any) -> list[Config]:
    """A configuration with each of the seeds."""
    optimiser = settings.pop("optimiser", RMSPROP)
    config = tiny_config(**{"iterations": 20, "evaluate_every": 10, **settings})
    config = replace(config, task=task, model=Choice(model, options), optimiser=optimiser)
    return [replace(config, settings=replace(config.settings, seed=seed)) for seed in range(SEEDS)]


def trained_alone(configs: Sequence[Config]) -> tuple[list[Training], list[list[Measurement]]]:
    members = [training_of(config) for config in configs]
    return members, [list(member) for member in members]


def trained_together(configs: Sequence[Config]) -> tuple[list[Training], list[list[Measurement]]]:
    ensemble = Ensemble([training_of(config) for config in configs])
    measured: list[list[Measurement]] = [[] for _ in configs]
    for place, measurement in ensemble:
        measured[place].append(measurement)
    return ensemble.members, measured


def require_equal(configs: Sequence[Config]) -> tuple[list[Training], list[list[Measurement]]]:
    """Every measurement, every weight and the position of the noise; the members trained together."""
    (alone, expected), (together, measured) = trained_alone(configs), trained_together(configs)
    for mine, theirs in zip(measured, expected, strict=True):
        assert [(m.split, m.iteration) for m in mine] == [(m.split, m.iteration) for m in theirs]
        assert [m.loss for m in mine] == pytest.approx([m.loss for m in theirs], rel=1e-4)
        for one, other in zip(mine, theirs, strict=True):
            assert one.scores == pytest.approx(other.scores, rel=1e-4, abs=1e-6)
    for one, other in zip(together, alone, strict=True):
        weights = other.model.state_dict()
        for name, value in one.model.state_dict().items():
            torch.testing.assert_close(value, weights[name], rtol=1e-4, atol=1e-5, msg=lambda text, n=name: n + text)
        assert torch.equal(one.backward.noise.get_state(), other.backward.noise.get_state())
        assert (one.stopped, one.iteration, one.best.iteration) == (
            other.stopped,
            other.iteration,
            other.best.iteration,
        )
    return together, measured


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "dnc": ("dnc", DNC, {}),
    "ntm": ("ntm", SIZES["ntm"], {"clip": "value", "clip_limit": 0.01}),
    "lstm": ("lstm", {"hidden_size": 8}, {"clip": "tensor", "clip_limit": 0.05}),
    "noise": ("armin", {**GATED, "zoneout_keep": 0.9}, {"clip_limit": 0.1}),
    "dropout and refreshing": ("dam", DNC, {"refresh_probability": 0.3}),
    "annealing": ("armin", GATED, {"anneal": ("temperature=linear:1:0.2:10",)}),
    "curriculum by loss": ("lstm", {"hidden_size": 8}, {"curriculum": "length=loss:1:0.69"}),
    "curriculum at random": ("lstm", {"hidden_size": 8}, {"curriculum": "length=uniform"}),
    "schedules that differ": ("dnc", {**DNC, "writing": "uniform:2"}, {}),
    "a schedule for all": ("dnc", {**DNC, "writing": "cached:3"}, {"task": FIXED}),
    "stream": ("lstm", {"hidden_size": 8}, {"task": STREAM, "evaluation_batches": 1}),
    "stream with writing": ("dnc", {**DNC, "writing": "cached:3"}, {"task": STREAM, "evaluation_batches": 1}),
    "adam": ("lstm", {"hidden_size": 8}, {"optimiser": Choice("adam", {"eps": 1e-3})}),
    "graves": ("lstm", {"hidden_size": 8}, {"optimiser": Choice("graves")}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_member_is_as_its_solo_run(case: str) -> None:
    model, options, settings = CASES[case]
    require_equal(seeds(model, options, **settings))


ENGINES = {
    "fused": seeds("dnc", {**DNC, "engine": "fused"}, iterations=5),
    "checkpointed": seeds("armin", {**GATED, "engine": "checkpointed"}, iterations=5),
    "schedules": seeds("dnc", {**DNC, "engine": "checkpointed", "writing": "uniform:2"}, task=FIXED, iterations=5),
    "stream": seeds("lstm", {"hidden_size": 8, "engine": "checkpointed"}, task=STREAM, iterations=5),
}


@pytest.mark.parametrize("case", ENGINES)
def test_every_engine_runs_them(case: str) -> None:
    require_equal(ENGINES[case])


@pytest.mark.slow
def test_the_compiled_engine_runs_them() -> None:
    members, _ = require_equal(seeds("lstm", {"hidden_size": 8, "engine": "compiled"}, solved_at=0.6, evaluate_every=1))
    assert len({member.iteration for member in members}) > 1


def test_at_equal_parameters_outputs_and_gradients_are_equal() -> None:
    configs = seeds("dnc", DNC)
    alone, together = ([training_of(config) for config in configs] for _ in range(2))
    passed = Ensemble(together).backward({place: member.prepare() for place, member in enumerate(together)})
    for place, member in enumerate(alone):
        solo = member.backward(*member.prepare(), 0)
        torch.testing.assert_close(passed[place].output, solo.output, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(passed[place].loss, solo.loss, rtol=1e-4, atol=0)
        for mine, theirs in zip(together[place].parameters, member.parameters, strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-7)


def test_members_stop_by_themselves_and_are_left_alone_then() -> None:
    members, _ = require_equal(seeds("dnc", DNC, solved_at=0.62, evaluate_every=1))
    ends = {(member.stopped, member.iteration) for member in members}
    assert len(ends) > 1 and any(stopped == "solved" for stopped, _ in ends)


def test_members_lose_patience_by_themselves() -> None:
    members, _ = require_equal(seeds("lstm", {"hidden_size": 8}, patience=3, evaluate_every=1))
    assert len({member.iteration for member in members}) > 1


def test_members_at_different_iterations_go_on_together() -> None:
    configs = seeds("lstm", {"hidden_size": 8}, iterations=8)
    alone, _ = trained_alone(configs)
    members = [training_of(config) for config in configs]
    members[1].start()
    for _ in range(3):
        members[1].step()
        list(members[1].conclude())
    list(Ensemble(members))
    for mine, theirs in zip(members[1].parameters, alone[1].parameters, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def broken() -> Ensemble:
    """An ensemble, one member of which has a weight that is not finite."""
    members = [training_of(config) for config in seeds("lstm", {"hidden_size": 8}, iterations=4)]
    with torch.no_grad():
        members[1].parameters[0][0, 0] = float("nan")
    return Ensemble(members)


def test_a_member_that_is_not_finite_ends_alone() -> None:
    ensemble, errors = broken(), []
    ensemble.failed = lambda place, error: errors.append((place, str(error)))
    places = {place for place, _ in ensemble}
    assert places == {0, 2} and [member.stopped for member in ensemble.members] == [
        "iterations",
        NOT_FINITE,
        "iterations",
    ]
    assert len(errors) == 1 and errors[0][0] == 1 and "nan before the iteration" in errors[0][1]
    alone, _ = trained_alone(seeds("lstm", {"hidden_size": 8}, iterations=4))
    for mine, theirs in zip(ensemble.members[2].parameters, alone[2].parameters, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_it_is_an_error_where_nobody_takes_it() -> None:
    with pytest.raises(NotFiniteError, match="nan before the iteration"):
        list(broken())


def test_interrupting_ends_all_after_the_iteration_under_way() -> None:
    ensemble = Ensemble([training_of(config) for config in seeds("lstm", {"hidden_size": 8})])
    for _, measurement in ensemble:
        if measurement.iteration == 3:
            ensemble.interrupt()
    assert {(member.stopped, member.iteration) for member in ensemble.members} <= {
        ("interrupted", 3),
        ("interrupted", 4),
    }
    assert not ensemble.running


def penalised(penalty: float) -> Training:
    model = penalised_model()
    return Training(model, PENALISED, torch.optim.SGD(model.parameters(), lr=0.1), tiny_settings(penalty=penalty))


def test_what_is_trained_one_by_one_only_is_refused() -> None:
    chunks = training_of(seeds("lstm", {"hidden_size": 8}, truncate=3)[0])
    with pytest.raises(OptionError, match="truncate cuts the sequences of one seed at a time: leave it out, or train"):
        Ensemble([chunks])
    with pytest.raises(OptionError, match="accumulates penalties, for one seed at a time: use penalty=0"):
        Ensemble([penalised(1.0)])
    Ensemble([penalised(0.0)])
    with pytest.raises(OptionError, match="need a model with a Recurrent body, and a Scale has none"):
        Ensemble([scaled()])
    sparse = training_of(seeds("sam", {**DNC, "engine": "sparse"})[0])
    with pytest.raises(OptionError, match="engine='sparse' runs one seed at a time: use engine='auto', or train"):
        Ensemble([sparse])
    several = training_of(seeds("lstm", {"hidden_size": 8})[0])
    several.processes = Processes(0, 2)
    with pytest.raises(OptionError, match="by one process: start torchmann without torchrun"):
        Ensemble([several])


def test_members_must_be_of_one_kind() -> None:
    with pytest.raises(OptionError, match="needs at least one member, got none"):
        Ensemble([])
    small, large = (training_of(seeds("lstm", {"hidden_size": size})[0]) for size in (8, 9))
    with pytest.raises(OptionError, match="member 1 differs from member 0"):
        Ensemble([small, large])
