"""A run that is stopped and resumed, by whatever and wherever, has the numbers of one that is not."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.tiny import SIZES, tiny_config

from torchmann.core import DataError, OptionError
from torchmann.training import Choice, Config, Measurement, Outcome, RunDirectory, Training, resume_run, train_run
from torchmann.training.checkpoint import Checkpoints
from torchmann.training.replay import replay_nan

EVERY: dict[str, Any] = {"iterations": 14, "log_every": 4, "evaluate_every": 5, "checkpoint_every": 3}
"""Three rhythms that differ, so that a checkpoint comes between two measurements."""


def with_model(name: str, task: Choice | None = None, **options: Any) -> Callable[..., Config]:
    """Makes configurations of a model on a task."""

    def make(**settings: Any) -> Config:
        config = tiny_config(**{**EVERY, **settings})
        return replace(config, task=task or config.task, model=Choice(name, options))

    return make


GATED = {"hidden_size": 8, "slots": 4}
LONGER = Choice("copy", {"bits": 2, "max_length": 4})
STREAM = Choice("markov", {"symbols": 4, "steps": 5, "length": 200})

CASES: dict[str, tuple[Callable[..., Config], dict[str, Any]]] = {
    "plain": (with_model("dnc", **SIZES["dnc"]), {}),
    "stochastic": (with_model("armin", **GATED, zoneout_keep=0.9), {}),
    "dropout and refreshing": (with_model("dam", **SIZES["dnc"]), {"refresh_probability": 0.3}),
    "cached writing": (with_model("dnc", **SIZES["dnc"], writing="cached:2"), {}),
    "annealing": (with_model("armin", **GATED), {"anneal": ("temperature=linear:1:0.2:10",)}),
    "curriculum by loss": (with_model("ntm", LONGER, **SIZES["ntm"]), {"curriculum": "length=loss:1:10"}),
    "curriculum by plan": (with_model("lstm", LONGER, hidden_size=8), {"curriculum": "length=growing:1:3"}),
    "chunks": (with_model("armin", LONGER, **GATED), {"truncate": 3}),
    "stream": (with_model("dnc", STREAM, **SIZES["dnc"], writing="cached:3"), {}),
    "stream in chunks": (with_model("armin", STREAM, **GATED), {"truncate": 2}),
    "patience": (with_model("lstm", hidden_size=8), {"patience": 2, "evaluate_every": 1}),
}
for _optimiser in ("rmsprop", "graves"):
    CASES[_optimiser] = (
        lambda optimiser=_optimiser, **settings: tiny_config("lstm", optimiser, **{**EVERY, **settings}),
        {},
    )


def lines(outcome: Outcome) -> list[tuple[Any, ...]]:
    """What was measured, but for the time it took."""
    return [(m.split, m.iteration, m.loss, m.scores) for m in outcome.directory.measurements()]


def weights(outcome: Outcome) -> bytes:
    return (outcome.directory.path / "model.safetensors").read_bytes()


def evaluation(outcome: Outcome) -> dict[str, Any]:
    """What is in the file, but for the time it took."""
    content = json.loads((outcome.directory.path / "evaluation.json").read_text())
    return {name: value for name, value in content.items() if name != "seconds"}


class Crash(BaseException):
    """Ends a process at once, as far as a test can."""


def at_measurement(number: int, action: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something when that many measurements have been recorded, once."""
    record, seen = RunDirectory.record, 0

    def recording(self: RunDirectory, measurement: Measurement) -> None:
        nonlocal seen
        record(self, measurement)
        seen += 1
        if seen == number:
            action()

    monkeypatch.setattr(RunDirectory, "record", recording)


def crash() -> None:
    raise Crash


@pytest.mark.parametrize("case", CASES)
def test_a_crashed_run_resumes_to_the_same_numbers(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured lines beyond the checkpoint are computed again."""
    make, settings = CASES[case]
    config = make(**settings)
    whole = train_run(config, tmp_path / "whole", stream=io.StringIO())
    path = tmp_path / "run"
    with monkeypatch.context() as patch:
        at_measurement(len(lines(whole)) // 2 + 1, crash, patch)
        with pytest.raises(Crash):
            train_run(config, path, stream=io.StringIO())
    resumed = resume_run(path, stream=(told := io.StringIO()))
    assert f"going on with {path} after iteration" in told.getvalue()
    assert lines(resumed) == lines(whole) and weights(resumed) == weights(whole)
    assert resumed.evaluation == whole.evaluation and resumed.iteration == whole.iteration


def test_a_crash_at_any_write_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each time that content or a name goes to the disk, from the first file of the run to the last."""
    short = {"iterations": 3, "log_every": 2, "evaluate_every": 2, "checkpoint_every": 1, "evaluation_batches": 1}
    config = tiny_config("lstm", **short)
    whole, fsync, replace_file = train_run(config, tmp_path / "whole", stream=io.StringIO()), os.fsync, Path.replace
    writes = crash_at = 0

    def count() -> None:
        nonlocal writes
        writes += 1
        if writes == crash_at:
            raise Crash

    monkeypatch.setattr("os.fsync", lambda descriptor: (count(), fsync(descriptor)))
    monkeypatch.setattr("pathlib.Path.replace", lambda self, target: (count(), replace_file(self, target)))
    while True:
        writes, crash_at, path = 0, crash_at + 1, tmp_path / f"crash {crash_at}"
        with suppress(Crash):
            train_run(config, path, stream=io.StringIO())
        if writes < crash_at:
            break
        if not (path / "config.yaml").exists():
            train_run(config, path, stream=io.StringIO())
        elif not (path / "evaluation.json").exists():
            resume_run(path, stream=io.StringIO())
        again = replace(whole, directory=RunDirectory(path))
        assert lines(again) == lines(whole) and weights(again) == weights(whole), f"write {crash_at}"
        assert evaluation(again) == evaluation(whole), f"write {crash_at}"
    assert crash_at > 25


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("case", ["stochastic", "stream"])
def test_a_signal_leaves_a_checkpoint_at_once(
    case: str, number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, settings = CASES[case]
    whole = train_run(make(**settings), tmp_path / "whole", stream=io.StringIO())
    before = {known: signal.getsignal(known) for known in (signal.SIGINT, signal.SIGTERM)}
    with monkeypatch.context() as patch:
        at_measurement(3, lambda: os.kill(os.getpid(), number), patch)
        config = make(**settings, checkpoint_every=1000)
        stopped = train_run(config, tmp_path / "run", stream=(told := io.StringIO()))
    assert {known: signal.getsignal(known) for known in before} == before
    assert stopped.stopped == "interrupted" and stopped.evaluation is None and stopped.iteration < whole.iteration
    last = told.getvalue().splitlines()[-1]
    assert (
        last == f"stopped after iteration {stopped.iteration}; go on with: torchmann train --resume {tmp_path / 'run'}"
    )
    assert stopped.iteration in stopped.directory.checkpoints.iterations()
    resumed = resume_run(tmp_path / "run", stream=io.StringIO())
    assert lines(resumed) == lines(whole) and weights(resumed) == weights(whole)


def interrupted(path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> RunDirectory:
    """A run that was stopped after its third measurement, at iteration 6."""
    with monkeypatch.context() as patch:
        at_measurement(2, lambda: os.kill(os.getpid(), signal.SIGINT), patch)
        outcome = train_run(tiny_config("lstm", **{**EVERY, **settings}), path, stream=io.StringIO())
    assert outcome.iteration == 6
    return outcome.directory


def test_a_run_can_be_stopped_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_run(tiny_config("lstm", **EVERY), tmp_path / "whole", stream=io.StringIO())
    interrupted(tmp_path / "run", monkeypatch)
    for _ in range(2):
        with monkeypatch.context() as patch:
            at_measurement(1, lambda: os.kill(os.getpid(), signal.SIGTERM), patch)
            assert resume_run(tmp_path / "run", stream=io.StringIO()).stopped == "interrupted"
    resumed = resume_run(tmp_path / "run", stream=io.StringIO())
    assert lines(resumed) == lines(whole) and resumed.seconds >= 0


@pytest.mark.parametrize("damage", ["cut", "turned", "empty"])
def test_a_damaged_checkpoint_is_passed_over_with_one_line(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_run(tiny_config("lstm", **EVERY), tmp_path / "whole", stream=io.StringIO())
    run = interrupted(tmp_path / "run", monkeypatch)
    newest = run.checkpoints.path(run.checkpoints.iterations()[-1])
    content = newest.read_bytes()
    turned = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    newest.write_bytes({"cut": content[: len(content) // 2], "turned": turned, "empty": b""}[damage])
    resumed = resume_run(run.path, stream=(told := io.StringIO()))
    first, second, *_ = told.getvalue().splitlines()
    assert re.fullmatch(
        r"\S+/checkpoints/00000006\.safetensors is damaged.*\. Trying the checkpoint before it\.", first
    )
    assert second == f"going on with {run.path} after iteration 5"
    assert lines(resumed) == lines(whole) and weights(resumed) == weights(whole)


def test_without_any_good_checkpoint_nothing_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(tmp_path / "run", monkeypatch)
    for iteration in run.checkpoints.iterations():
        run.checkpoints.path(iteration).write_bytes(b"")
    before = run.measurements()
    with pytest.raises(DataError, match=r"all checkpoints in \S+ are damaged: start the run anew with --overwrite"):
        resume_run(run.path, stream=io.StringIO())
    assert run.measurements() == before


def test_a_run_without_a_checkpoint_starts_from_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_run(tiny_config("lstm", **EVERY), tmp_path / "whole", stream=io.StringIO())
    with monkeypatch.context() as patch:
        at_measurement(1, crash, patch)
        with pytest.raises(Crash):
            train_run(
                tiny_config("lstm", **{**EVERY, "checkpoint_every": 1000}), tmp_path / "run", stream=io.StringIO()
            )
    resumed = resume_run(tmp_path / "run", stream=(told := io.StringIO()))
    assert "has no checkpoint yet: it starts from the beginning" in told.getvalue()
    assert lines(resumed) == lines(whole)


def test_a_run_that_was_stopped_in_its_evaluation_is_only_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("torchmann.training.run.final_evaluation", lambda *_, **__: crash())
        with pytest.raises(Crash):
            train_run(tiny_config("lstm"), tmp_path / "run", stream=io.StringIO())
    before = lines(Outcome(RunDirectory(tmp_path / "run"), None, 0, 0.0, None))
    resumed = resume_run(tmp_path / "run", stream=io.StringIO())
    assert resumed.stopped == "iterations" and resumed.evaluation is not None and lines(resumed) == before


def test_a_run_that_has_ended_goes_on_only_to_a_new_limit(tmp_path: Path) -> None:
    whole = train_run(tiny_config("lstm", **{**EVERY, "iterations": 20}), tmp_path / "whole", stream=io.StringIO())
    ended = train_run(tiny_config("lstm", **{**EVERY, "iterations": 10}), tmp_path / "run", stream=io.StringIO())
    with pytest.raises(OptionError, match=r"has ended after 10 iterations \(iterations\): .* raise the limit"):
        resume_run(tmp_path / "run", stream=io.StringIO())
    assert ended.directory.config().settings.iterations == 10
    longer = resume_run(tmp_path / "run", iterations=20, stream=io.StringIO())
    assert longer.iteration == 20 and longer.directory.config().settings.iterations == 20
    assert weights(longer) == weights(whole)
    once = [line for line in lines(longer) if line[:2] != ("train", 10)]
    assert once[-1] == lines(whole)[-1] and len(once) == len(lines(whole)), (
        "the end of the first limit was measured too"
    )


def test_time_of_earlier_sessions_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(tmp_path / "run", monkeypatch)
    before = run.checkpoints.load(6)["training"]["seconds"]
    out_of_time = resume_run(run.path, max_seconds=before / 2, stream=io.StringIO())
    assert out_of_time.stopped == "time" and out_of_time.iteration == 6 and out_of_time.seconds >= before > 0
    on = resume_run(run.path, max_seconds=before + 100, stream=io.StringIO())
    assert on.stopped == "iterations" and on.directory.measurements()[-1].seconds > before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"was changed since its last checkpoint \(seed\)"),
        ({"model": Choice("lstm", {"hidden_size": 9})}, r"was changed since its last checkpoint \(model\)"),
    ],
)
def test_a_changed_configuration_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = interrupted(tmp_path / "run", monkeypatch)
    config = run.config()
    model = change.pop("model", config.model)
    run.save_config(replace(config, model=model, settings=replace(config.settings, **change)))
    with pytest.raises(OptionError, match=message):
        resume_run(run.path, stream=io.StringIO())


def test_lost_lines_of_the_metrics_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(tmp_path / "run", monkeypatch)
    (run.path / "metrics.jsonl").write_text("")
    with pytest.raises(DataError, match=r"metrics\.jsonl has 0 bytes, but had \d+ at the checkpoint"):
        resume_run(run.path, stream=io.StringIO())


def test_two_processes_cannot_train_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(tmp_path / "run", monkeypatch)
    with run.in_use():
        with pytest.raises(OptionError, match="is being trained by another process"):
            resume_run(run.path, stream=io.StringIO())
        with pytest.raises(OptionError, match="is being trained by another process"):
            train_run(tiny_config("lstm"), run.path, overwrite=True, stream=io.StringIO())
    assert resume_run(run.path, stream=io.StringIO()).stopped == "iterations"


def test_what_a_killed_process_left_is_put_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(tmp_path / "run", monkeypatch)
    run.pictures.rmdir()
    leftovers = [run.path / ".config.yaml.unfinished", run.checkpoints.directory / ".00000009.safetensors.unfinished"]
    for leftover in leftovers:
        leftover.write_bytes(b"hal")
    resume_run(run.path, stream=io.StringIO())
    assert run.pictures.is_dir() and not any(leftover.exists() for leftover in leftovers)


def test_another_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(tmp_path / "run", monkeypatch)
    monkeypatch.setattr("torch.__version__", "9.9")
    resume_run(run.path, stream=(told := io.StringIO()))
    assert re.search(r"^torch was \S+ and is 9\.9: numbers may differ", told.getvalue(), re.MULTILINE)


@pytest.mark.parametrize("where", ["checkpoint", "weights", "metrics"])
def test_a_full_disk_leaves_the_last_good_checkpoint_and_says_how_to_go_on(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_run(tiny_config("lstm", **EVERY), tmp_path / "whole", stream=io.StringIO())
    full, fsync, seen = OSError(errno.ENOSPC, "No space left on device"), os.fsync, 0
    names = {"checkpoint": "checkpoints/", "weights": "model.safetensors", "metrics": "metrics.jsonl"}

    def failing(descriptor: int) -> None:
        nonlocal seen
        seen += names[where] in (name := os.readlink(f"/proc/self/fd/{descriptor}")) and os.path.isfile(name)
        if seen >= 3:
            raise full
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", failing)
        message = r"^cannot write \S+: No space left on device\. Make room, then go on .* torchmann train --resume \S+$"
        with pytest.raises(OSError, match=message):
            train_run(tiny_config("lstm", **EVERY), tmp_path / "run", stream=io.StringIO())
    assert not [path for path in (tmp_path / "run").rglob("*") if "unfinished" in path.name]
    resumed = resume_run(tmp_path / "run", stream=io.StringIO())
    assert lines(resumed) == lines(whole) and weights(resumed) == weights(whole)


def test_only_the_checkpoints_of_the_rule_are_kept(tmp_path: Path) -> None:
    config = tiny_config("lstm", **{**EVERY, "checkpoint_every": 2, "keep_every": 4, "evaluate_every": 3})
    outcome = train_run(config, tmp_path / "run", stream=io.StringIO())
    scores = {
        m.iteration: m.scores["bit_accuracy"] for m in outcome.directory.measurements() if m.split == "validation"
    }
    best = min(i for i, score in scores.items() if score == max(scores.values()))
    assert outcome.directory.checkpoints.iterations() == sorted({4, 8, 12, 14, best})


def test_patience_puts_the_best_weights_back(tmp_path: Path) -> None:
    make, settings = CASES["patience"]
    outcome = train_run(make(**settings, iterations=200), tmp_path / "run", stream=io.StringIO())
    assert outcome.stopped == "patience" and outcome.iteration < 200
    best = outcome.iteration - 2
    stored = Checkpoints(tmp_path / "run" / "checkpoints").load(best)["training"]
    config = outcome.directory.config()
    model = config.build_model(config.build_task())
    outcome.directory.load_weights(model)
    assert stored["best"]["iteration"] == best
    assert all(torch.equal(value, stored["model"][name]) for name, value in model.state_dict().items())


def test_a_resumed_run_that_breaks_leaves_a_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = interrupted(tmp_path / "run", monkeypatch)
    step = Training.step

    def breaking(self: Training) -> None:
        step(self)
        if self.iteration == 9:
            with torch.no_grad():
                self.parameters[0].fill_(float("nan"))

    monkeypatch.setattr(Training, "step", breaking)
    with pytest.raises(
        FloatingPointError, match=r"at iteration 9: .* torchmann replay-nan \S+/not-finite\.safetensors$"
    ):
        resume_run(run.path, stream=io.StringIO())
    assert replay_nan(run.path / "not-finite.safetensors").iteration == 9
    assert max(run.checkpoints.iterations()) < 9
