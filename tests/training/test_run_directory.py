from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.training.tiny import tiny_config

from torchmann.core import DataError, OptionError
from torchmann.training import Measurement, RunDirectory
from torchmann.training.run_directory import default_path

FIRST = Measurement("train", 1, 0.5, 0.25, {"bit_accuracy": 0.5})
SECOND = Measurement("validation", 2, 1.0, 0.125, {"bit_accuracy": 0.75})


def create(path: Path, **options: bool) -> RunDirectory:
    return RunDirectory.create(path, tiny_config(), **options)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    run = create(tmp_path / "a" / "b")
    run.record(FIRST)
    run.record(SECOND)
    again = RunDirectory.open(run.path)
    assert again.config() == tiny_config()
    assert again.measurements() == [FIRST, SECOND]
    versions = json.loads((run.path / "versions.json").read_text())
    assert versions["torch"] == torch.__version__ and {"python", "torchmann"} < versions.keys()


def test_weights_come_back_whole(tmp_path: Path) -> None:
    run, config = create(tmp_path / "run"), tiny_config()
    model, other = (config.build_model(config.build_task()) for _ in range(2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    run.save_weights(model)
    run.load_weights(other)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_run_is_not_overwritten_by_accident(tmp_path: Path) -> None:
    run = create(tmp_path)
    run.record(FIRST)
    (tmp_path / "notes.txt").write_text("mine")
    for drawn in ("sample.png", "sample.pdf", "microscope.html"):
        (run.pictures / drawn).write_text("of the run that is replaced")
    with pytest.raises(OptionError, match="holds a run: pass --overwrite"):
        create(tmp_path)
    again = create(tmp_path, overwrite=True)
    assert list(again.pictures.iterdir()) == []
    assert again.measurements() == [] and (tmp_path / "notes.txt").read_text() == "mine"


def test_a_process_killed_while_it_made_the_directory_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".config.yaml.unfinished").write_text("half")
    assert create(tmp_path).config() == tiny_config()
    assert not (tmp_path / ".config.yaml.unfinished").exists()


def test_a_directory_that_is_no_run_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OptionError, match="is not empty and holds no run"):
        create(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_unwritable_directory_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"^cannot write .*/file/run: Not a directory\.$"):
        create(tmp_path / "file" / "run")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    (run.path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"^cannot write .*/metrics\.jsonl: No space left on device\.$"):
        run.record(FIRST)


def test_a_failed_write_leaves_the_old_file_and_no_debris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create(tmp_path / "run")
    run.write("model.safetensors", b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left on device"):
        run.write("model.safetensors", b"new")
    assert (run.path / "model.safetensors").read_bytes() == b"old"
    assert not list(run.path.glob(".*"))


def test_numbers_that_are_not_finite_keep_the_file_valid_json(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.write_json("evaluation.json", {"test": {"loss": float("nan"), "accuracy": 0.5}})
    content = json.loads((run.path / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert content == {"test": {"loss": None, "accuracy": 0.5}}


def test_a_line_cut_short_by_a_crash_is_passed_over(tmp_path: Path) -> None:
    run = create(tmp_path / "run")
    run.record(FIRST)
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"split": "trai')
    assert run.measurements() == [FIRST]


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no run"):
        RunDirectory.open(tmp_path)
    run, config = create(tmp_path / "run"), tiny_config()
    model = config.build_model(config.build_task())
    with pytest.raises(DataError, match=r"model\.safetensors does not exist: the run stopped before"):
        run.load_weights(model)
    run.save_weights(model)
    other = tiny_config("lstm").build_model(config.build_task())
    with pytest.raises(DataError, match=r"model\.safetensors does not fit the model: "):
        run.load_weights(other)
    (run.path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(DataError, match=r"model\.safetensors is damaged"):
        run.load_weights(model)
    (run.path / "metrics.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="holds a line that is no measurement"):
        run.measurements()
    for content in ("[1, 2]", "task: {name: copy}", "task: [", "nonsense"):
        (run.path / "config.yaml").write_text(content)
        with pytest.raises(DataError, match=r"config\.yaml is not the configuration of a run"):
            run.config()


def test_the_default_name_tells_task_and_model() -> None:
    path = default_path(tiny_config("ntm"))
    assert path.parent == Path("runs") and path.name.startswith("copy-ntm-20")
