import json
from pathlib import Path

import pytest
from tests.experiments.tiny import experiment

from torchmann.cli.main import main
from torchmann.experiments import catalogue
from torchmann.experiments.experiment import Trial, config


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny/table1", experiment)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    return main(["reproduce", "tiny/table1", *arguments])


def seeds(path: Path) -> list[tuple[str, int]]:
    lines = [json.loads(line) for line in (path / "tiny/table1.jsonl").read_text().splitlines()]
    return [(line["trial"], line["seed"]) for line in lines]


def test_runs_what_has_no_record_and_reports(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--models", "RNN", "--seeds", "1") == 0
    assert seeds(tiny / "results") == [("RNN | copy", 0)]
    assert run("--seeds", "2") == 0
    assert seeds(tiny / "results") == [(row, seed) for row in ("LSTM | copy", "RNN | copy") for seed in (0, 1)]
    printed = capsys.readouterr().out
    assert "as reported" in printed and "The LSTM is better." in printed and "ms an iteration" in printed
    folder = tiny / "runs/reproduce/tiny/table1/full"
    assert {path.name for path in folder.glob("report.*")} == {"report.md", "report.html"}
    assert run("--seeds", "2") == 0  # nothing is left to train
    assert "ms an iteration  iterations" not in capsys.readouterr().out


def test_other_scales_keep_their_records_apart(tiny: Path) -> None:
    assert run("--scale", "smoke", "--models", "LSTM") == 0
    assert not (tiny / "results").exists()
    assert seeds(tiny / "runs/reproduce/results") == [("LSTM | copy", 0)]


def test_check_compares_and_keeps_nothing(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--models", "RNN", "--seeds", "1") == 0
    before = (tiny / "results/tiny/table1.jsonl").read_text()
    assert run("--models", "RNN", "--seeds", "1", "--check") == 0
    assert "equal" in capsys.readouterr().out
    assert (tiny / "results/tiny/table1.jsonl").read_text() == before
    line = json.loads(before)
    line["scores"]["test"]["bit_accuracy"] = 0.0
    (tiny / "results/tiny/table1.jsonl").write_text(json.dumps(line) + "\n")
    assert run("--models", "RNN", "--seeds", "1", "--check") == 1
    assert "off" in capsys.readouterr().out


def test_check_without_records_is_no_success(tiny: Path) -> None:
    assert run("--models", "RNN", "--seeds", "1", "--check") == 1


def test_an_estimate_trains_nothing_and_is_kept(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--estimate") == 0
    assert "6 iterations" in capsys.readouterr().out
    assert len((tiny / "results/timings.jsonl").read_text().splitlines()) == 2
    assert not (tiny / "results/tiny").exists()


def test_the_budget_ends_it_cleanly_and_the_same_command_goes_on(tiny: Path) -> None:
    assert run("--models", "RNN", "--seeds", "1", "--hours", "1e-9") == 130
    assert not (tiny / "results/tiny").exists()
    assert run("--models", "RNN", "--seeds", "1") == 0


def test_missing_data_names_the_row_and_the_rest_runs(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHMANN_DATA", str(tiny / "nowhere"))
    monkeypatch.setenv("TORCHMANN_CACHE", str(tiny / "cache"))
    lost = Trial("RNN", "bAbI", config("babi", ("rnn", {"hidden_size": 4}), ("adam", {}), iterations=2))
    there = experiment()
    trials = (*there.trials, lost)
    monkeypatch.setitem(catalogue.EXPERIMENTS, "tiny/table1", lambda: type(there)(**{**vars(there), "trials": trials}))
    assert run("--models", "RNN", "--seeds", "1") == 0
    assert "RNN | bAbI, seed 0 is left out" in capsys.readouterr().out
    assert seeds(tiny / "results") == [("RNN | copy", 0)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["reproduce", "tiny/tabel1"], "tiny/table1"),
        (["reproduce"], "--all"),
        (["reproduce", "tiny/table1", "--all"], "--all"),
        (["reproduce", "tiny/table1", "--scale", "shrt"], "short"),
        (["reproduce", "tiny/table1", "--models", "GRU"], "RNN, LSTM"),
        (["reproduce", "tiny/table1", "--seeds", "0"], "seeds"),
        (["reproduce", "tiny/table1", "--hours", "-1"], "hours"),
        (["reproduce", "tiny/table1", "--device", "tpu"], "cpu or cuda"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert said in told and len(told.splitlines()) == 1


def test_records_of_another_version_name_what_to_do(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tiny / "results/tiny").mkdir(parents=True)
    (tiny / "results/tiny/table1.jsonl").write_text('{"format": 2}\n')
    assert run("--models", "RNN") == 1
    assert "format 2" in capsys.readouterr().err


def test_two_workers_give_the_records_of_one(tiny: Path) -> None:
    real = ["reproduce", "dam/figure2", "--scale", "smoke", "--tasks", "copy", "--models", "DAM-1", "DAM-2"]
    assert main([*real, "--results", "one", "--output", "runs/one"]) == 0
    assert main([*real, "--results", "two", "--output", "runs/two", "--workers", "2"]) == 0
    losses = []
    for folder in ("one", "two"):
        lines = (tiny / folder / "dam/figure2.jsonl").read_text().splitlines()
        losses.append([(record["trial"], record["scores"]["test"]["loss"]) for record in map(json.loads, lines)])
    assert len(losses[0]) == 2 and losses[0] == losses[1]
