from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.training.tiny import tiny_config, tiny_settings

from torchmann.core import OptionError, Recorder
from torchmann.engines import Recurrent
from torchmann.tasks import Batch, Copy, Task
from torchmann.training import Settings, Training, captured
from torchmann.training.backward import Passed
from torchmann.training.captured import MOST, WARM_UP, Captured, make_capturable, require_capturable, shape_of
from torchmann.training.ensemble import require_trainable_together
from torchmann.training.run import training_of


def made(model: str = "dnc", optimiser: str = "adam", **settings: Any) -> Training:
    """A training on the CPU that asks for captured iterations."""
    training = training_of(tiny_config(model, optimiser))
    training.settings = replace(training.settings, device="cuda", capture=True, **settings)
    return training


def test_the_cpu_captures_nothing() -> None:
    with pytest.raises(OptionError, match=r"^capture=True needs device='cuda', got 'cpu': change one of them\.$"):
        Settings(capture=True)


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop", "graves"])
@pytest.mark.parametrize("model", ["dnc", "lstm"])
def test_a_plain_training_can_be_captured(model: str, optimiser: str) -> None:
    require_capturable(made(model, optimiser))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"truncate": 3}, "truncate"),
        ({"learning_rate": "linear:1e-3:1e-5:10"}, "learning_rate"),
        ({"refresh_probability": 0.1}, "refresh_probability"),
    ],
)
def test_what_changes_from_iteration_to_iteration_is_refused(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(OptionError, match=f"leave {name} out, or use capture=False"):
        require_capturable(made(**settings))


def test_a_curriculum_is_refused() -> None:
    training = made()
    training.curriculum = object()  # type: ignore[assignment]
    with pytest.raises(OptionError, match="leave curriculum out"):
        require_capturable(training)


def test_noise_is_refused() -> None:
    with pytest.raises(OptionError, match="repeat the same noise"):
        require_capturable(made("armin"))


def test_other_optimisers_are_refused() -> None:
    training = made()
    training.optimiser = torch.optim.SGD(training.model.parameters(), lr=0.1)
    with pytest.raises(OptionError, match="cannot capture the optimiser SGD: take adam, rmsprop or graves"):
        require_capturable(training)


@pytest.mark.parametrize("engine", ["fused", "sparse", "lightweight", "checkpointed"])
def test_engines_that_wait_are_refused(engine: str) -> None:
    training = made()
    next(part for part in training.model.modules() if isinstance(part, Recurrent)).engine = engine
    with pytest.raises(OptionError, match=f"with the engines auto, eager, compiled, got '{engine}'"):
        require_capturable(training)


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    training = made()
    monkeypatch.setattr(type(training.processes), "count", 2, raising=False)
    monkeypatch.setattr(training.processes, "count", 2, raising=False)
    with pytest.raises(OptionError, match="start torchmann without torchrun"):
        require_capturable(training)


def test_a_model_without_a_body_is_refused() -> None:
    model = torch.nn.Linear(2, 2)
    training = Training(model, Copy(bits=2), torch.optim.Adam(model.parameters()), tiny_settings())
    with pytest.raises(OptionError, match="a Recurrent body, not a Linear"):
        require_capturable(training)


def test_several_seeds_at_once_are_refused() -> None:
    with pytest.raises(OptionError, match="capture runs the iterations of one seed at a time"):
        require_trainable_together(made())


def test_an_optimiser_counts_where_it_shall() -> None:
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    for capture in (True, False):
        make_capturable(optimiser, capture)
        assert optimiser.param_groups[0]["capturable"] is capture


def drawn(steps: int, number: int = 0) -> Batch:
    return Copy(bits=2, min_length=steps, max_length=steps).batch(number, 3, seed=0)


def test_shapes_are_those_of_all_tensors() -> None:
    assert shape_of(drawn(2)) == shape_of(drawn(2, 1)) != shape_of(drawn(3))
    assert shape_of(drawn(2)) != shape_of(replace(drawn(2), first_answer_step=1))


class Plain:
    """Stands in for a captured iteration: it runs it."""

    def __init__(self, run: Any, task: Task, batch: Batch, stream: Any) -> None:
        self.run, self.task = run, task

    def __call__(self, batch: Batch) -> Passed:
        return self.run(self.task, batch)._replace(output="captured")


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Captured:
    """As it is on a GPU, but for the GPU."""
    monkeypatch.setattr(captured, "CapturedIteration", Plain)
    monkeypatch.setattr(captured, "aside", lambda run, stream: run())
    monkeypatch.setattr(torch.cuda, "Stream", object)
    return Captured(lambda task, batch: Passed(torch.zeros(()), "plain", batch, {}))  # type: ignore[arg-type]


def test_a_shape_is_captured_when_it_has_come_a_few_times(here: Captured) -> None:
    task = Copy(bits=2)
    outputs = [here(task, drawn(2, number)).output for number in range(WARM_UP + 2)]
    assert outputs == ["plain"] * WARM_UP + ["captured"] * 2
    here.forget()
    assert here(task, drawn(2)).output == "plain" and not here.graphs


def test_only_so_many_shapes_are_captured(here: Captured) -> None:
    for steps in range(1, MOST + 3):
        for number in range(WARM_UP + 1):
            last = here(Copy(bits=2), drawn(steps, number)).output
        assert last == ("captured" if steps <= MOST else "plain")
    assert len(here.graphs) == MOST


def test_rows_that_end_early_run_plainly(here: Captured) -> None:
    batch = drawn(2)
    ragged = replace(batch, lengths=torch.tensor([len(batch.inputs), 1, 2]))
    assert [here(Copy(bits=2), ragged).output for _ in range(WARM_UP + 2)] == ["plain"] * (WARM_UP + 2)


def test_what_is_recorded_runs_plainly(here: Captured) -> None:
    for number in range(WARM_UP + 1):
        here(Copy(bits=2), drawn(2, number))
    with Recorder(torch.nn.Identity()):
        assert here(Copy(bits=2), drawn(2)).output == "plain"
