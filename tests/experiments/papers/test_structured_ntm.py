"""The experiment of the structured NTMs is declared as the paper has it, and convergence is measured as it says.

Source: "Structured memory for neural Turing machines", figure 2 and section 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from torchmann.experiments import catalogue
from torchmann.experiments.papers import structured_ntm
from torchmann.experiments.papers.structured_ntm import ONE, SERIES, TWO, WINDOW, convergence, figure2
from torchmann.training import Measurement, RunDirectory

KEYS = [trial.key for trial in figure2().trials]


def run_with(path: Path, losses: list[float]) -> RunDirectory:
    """The directory of a run with these losses, an iteration each."""
    run = RunDirectory(path)
    run.record(Measurement("validation", 0, 0.0, 9.0, {SERIES: 0.0}))
    for iteration, loss in enumerate(losses, 1):
        run.record(Measurement("train", iteration, 0.0, 8 * loss, {SERIES: loss}))
    return run


def test_the_catalogue_has_it() -> None:
    assert catalogue.find("structured-ntm/figure2").name == "structured-ntm/figure2"


def test_all_panels_are_there() -> None:
    assert set(KEYS) == {f"{row} | {task}" for row in (TWO, ONE, "NTM1", "NTM2", "NTM3") for task in ("copy", "recall")}
    assert all(trial.config is not None for trial in figure2().trials)
    assert figure2().seeds == 5


@pytest.mark.parametrize("key", KEYS)
def test_training_is_that_of_the_paper(key: str) -> None:
    config = figure2().trial(key).config
    assert config is not None
    settings, sizes = config.settings, config.model.options
    graves = {"name": "graves", "lr": 1e-4, "decay": 0.95, "momentum": 0.9, "eps": 1e-4}
    assert config.optimiser.to_dict() == graves
    assert (settings.batch_size, settings.clip, settings.clip_limit) == (1, "value", 10.0)
    assert (sizes["hidden_size"], sizes["slots"], sizes["width"]) == (100, 128, 20)
    assert settings.iterations == {"copy": 20_000, "recall": 60_000}[key.rpartition(" | ")[2]]


@pytest.mark.parametrize("key", [key for key in KEYS if key.endswith("copy")])
def test_models_are_built(key: str) -> None:
    config = figure2().trial(key).config
    assert config is not None
    task = config.build_task()
    model = config.build_model(task)
    cell: Any = model.body.cell
    memory = cell.memory
    heads = {TWO: (2, 2), ONE: (1, 1), "NTM1": (1, 1), "NTM2": (1, 2), "NTM3": (1, 2)}[key.rpartition(" | ")[0]]
    assert (memory.reads, memory.writes) == heads
    first = memory.initial_state(1).write_weights[0, 0, 0].item()
    assert first == pytest.approx(0.6321, abs=1e-4), "heads start at the first slot"
    output, _ = model(task.batch(0, 1, seed=0).inputs[:3])
    assert output.shape == (3, 1, task.output_size)


def test_reported_iterations_are_those_of_recall() -> None:
    numbers = {trial.key: trial.reported.value for trial in figure2().trials if trial.reported is not None}
    assert numbers == {f"{TWO} | recall": 50_000, f"{ONE} | recall": 50_000, "NTM1 | recall": 50_000} | {
        "NTM2 | recall": 37_000
    }


def test_claims_are_those_of_the_text() -> None:
    claims = {(claim.better, claim.worse, claim.measure) for claim in figure2().claims}
    assert ("NTM2 | recall", "NTM1 | recall", structured_ntm.LOW_LOSS) in claims
    assert (f"{TWO} | copy", "NTM2 | copy", structured_ntm.LOW_LOSS) in claims
    assert ("NTM1 | recall", "NTM3 | recall", structured_ntm.CONVERGED) in claims
    assert ("NTM2 | copy", f"{TWO} | copy", structured_ntm.PEAKS) in claims
    assert len(claims) == len(figure2().claims)
    assert not any("{" in claim.text for claim in figure2().claims)


def test_a_run_that_never_learns_has_no_other_numbers(tmp_path: Path) -> None:
    assert convergence(run_with(tmp_path, [5.0] * 100)) == {"converged": 0.0}
    assert convergence(RunDirectory(tmp_path / "nothing")) == {"converged": 0.0}


def test_convergence_is_where_the_running_median_is_low(tmp_path: Path) -> None:
    half = WINDOW // 2 + 1  # low losses in a window make the median low
    found: Any = convergence(run_with(tmp_path, [5.0] * 40 + [0.01] * 60))
    assert found == {"converged": 1.0, "low_loss": 40.0 + half, "peaks": 0.0}


def test_peaks_are_counted_after_convergence_alone(tmp_path: Path) -> None:
    calm = [0.01] * WINDOW
    found = convergence(run_with(tmp_path, [*calm, *([0.5] * 3 + [2.0]) * 25]))
    assert found["low_loss"] == WINDOW
    assert found["peaks"] == pytest.approx(250)


def test_a_run_that_ends_as_it_converges_has_no_peaks_to_count(tmp_path: Path) -> None:
    assert convergence(run_with(tmp_path, [0.01] * WINDOW)) == {"converged": 1.0, "low_loss": float(WINDOW)}
