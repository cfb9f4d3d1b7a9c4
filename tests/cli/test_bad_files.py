"""Damaged and foreign runs, checkpoints, weights, metrics and data files, each refused in one line."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.cli.refusals import refuses, train, workplace
from tests.data.babi_files import pack, write_folder

from torchmann.training.tensor_file import load_tree, save_tree

Damage = Callable[[Path], object]
"""Takes the folder that a copy of the template is in."""

GOLDEN = Path(__file__).parents[1] / "goldens" / "deepmind-dnc-init.npz"
CONFIG, WEIGHTS, METRICS = "run/config.yaml", "run/model.safetensors", "run/metrics.jsonl"
CHECKPOINTS = ("run/checkpoints/00000002.safetensors", "run/checkpoints/00000004.safetensors")
CASE, ARCHIVE = "nan/not-finite.safetensors", "data/archive.tar.gz"
STORIES, QUESTIONS = (f"data/tasks_1-20_v1-2/en-10k/qa1_made-up_{part}.txt" for part in ("train", "test"))
BABI = "train --task babi --task.tasks [1] --allow-partial --model lstm --iterations 2 --task.data data/"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    assert train(folder / "run") == 0
    assert train(folder / "other", model="gru") == 0
    diverges = "--optimiser rmsprop --optimiser.lr 1e38 --iterations 50 --log_every 50 --clip none"
    assert train(folder / "nan", *diverges.split(), model="rnn") == 1
    pack(write_folder(folder / "data"), folder / ARCHIVE)
    shutil.copy(GOLDEN, folder / "case.npz")
    return folder


def put(name: str, content: str | bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def cut(name: str, size: int = -1) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def turn(name: str, place: int = -1) -> Damage:
    """One bit turned over."""

    def damage(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 1
        (folder / name).write_bytes(content)

    return damage


def remove(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def make_folder(name: str) -> Damage:
    return lambda folder: ((folder / name).unlink(), (folder / name).mkdir())


def copy(source: str, name: str) -> Damage:
    return lambda folder: shutil.copy(folder / source, folder / name)


def all_of(damages: list[Damage]) -> Damage:
    return lambda folder: [damage(folder) for damage in damages]


def each_checkpoint(damage: Callable[[str], Damage]) -> Damage:
    return all_of([damage(name) for name in CHECKPOINTS])


def changed(values: Any, path: str, value: Any) -> Any:
    """Nested dictionaries with the entry at a dotted path replaced, or removed for None."""
    *inner, last = path.split(".")
    place = values
    for key in inner:
        place = place[key]
    place.pop(last) if value is None else place.update({last: value})
    return values


def config(path: str, value: Any = None) -> Damage:
    def damage(folder: Path) -> None:
        values = changed(yaml.safe_load((folder / CONFIG).read_text()), path, value)
        (folder / CONFIG).write_text(yaml.safe_dump(values))

    return damage


def tree(name: str, path: str, value: Any = None) -> Damage:
    return lambda folder: save_tree(folder / name, changed(load_tree(folder / name), path, value))


def case(key: str, change: Callable[[np.ndarray], np.ndarray] | None = None) -> Damage:
    """A recorded case with an array changed, or removed for None."""

    def damage(folder: Path) -> None:
        arrays = dict(np.load(folder / "case.npz"))
        if change is None:
            del arrays[key]
        else:
            arrays[key] = change(arrays[key])
        np.savez(folder / "case.npz", **arrays)

    return damage


NO_CONFIG = "run/config.yaml is not the configuration of a run: "
RUNS: list[tuple[Damage, str]] = [
    (remove(CONFIG), "run holds no run (no config.yaml)"),
    (make_folder(CONFIG), "run holds no run (no config.yaml)"),
    (put(CONFIG, ""), f"{NO_CONFIG}must hold lines"),
    (put(CONFIG, b"\xff\xfe"), f"{NO_CONFIG}cannot be read: 'utf-8' codec can't decode"),
    (put(CONFIG, "task: ["), f"{NO_CONFIG}cannot be read: while parsing"),
    (config("task"), f"{NO_CONFIG}name a task"),
    (config("model"), f"{NO_CONFIG}'model' is missing"),
    (config("task.name", "copi"), f"{NO_CONFIG}unknown task 'copi': did you mean 'copy'?"),
    (config("model.name", "lstn"), f"{NO_CONFIG}unknown model 'lstn': did you mean 'lstm'?"),
    (config("model.hiden_size", 3), f"{NO_CONFIG}unknown flag --model.hiden_size: did you mean --model.hidden_size?"),
    (config("model.hidden_size", "big"), f"{NO_CONFIG}--model.hidden_size: expected int, got big"),
    (config("optimiser.lr", "fast"), f"{NO_CONFIG}--optimiser.lr: expected float, got fast"),
    (config("batchsize", 3), f"{NO_CONFIG}unknown flag --batchsize: did you mean --batch_size?"),
    (config("iterations", 0), f"{NO_CONFIG}iterations must be an integer of at least 1, got 0"),
    (config("device", "tpu"), f"{NO_CONFIG}--device: expected one of 'cpu', 'cuda', got tpu"),
]

NOT_OURS = "run/model.safetensors is damaged, or is no tensor file of torchmann"
OTHER_MODEL = "run/model.safetensors does not fit the model: "
MODELS: list[tuple[Damage, str]] = [
    (remove(WEIGHTS), "run/model.safetensors does not exist: the run stopped before its first checkpoint"),
    (make_folder(WEIGHTS), "run/model.safetensors cannot be read: Is a directory"),
    (put(WEIGHTS, ""), NOT_OURS),
    (put(WEIGHTS, "weights"), NOT_OURS),
    (lambda folder: torch.save({}, folder / WEIGHTS), NOT_OURS),
    (cut(WEIGHTS, 100), NOT_OURS),
    (cut(WEIGHTS), "run/model.safetensors is damaged: its checksum does not fit its content"),
    (turn(WEIGHTS), "run/model.safetensors is damaged: its checksum does not fit its content"),
    (copy("other/model.safetensors", WEIGHTS), OTHER_MODEL),
    (copy(CHECKPOINTS[0], WEIGHTS), OTHER_MODEL),
    (config("model.hidden_size", 9), OTHER_MODEL),
]

ALL_DAMAGED = "all checkpoints in run/checkpoints are damaged: start the run anew with --overwrite"
CHANGED = "the configuration of run was changed since its last checkpoint"
UNFINISHED: list[tuple[Damage, str]] = [
    (each_checkpoint(cut), ALL_DAMAGED),
    (each_checkpoint(lambda name: cut(name, 300)), ALL_DAMAGED),
    (each_checkpoint(turn), ALL_DAMAGED),
    (each_checkpoint(lambda name: turn(name, 40)), ALL_DAMAGED),
    (each_checkpoint(lambda name: put(name, "")), ALL_DAMAGED),
    (each_checkpoint(lambda name: put(name, "text")), ALL_DAMAGED),
    (each_checkpoint(make_folder), ALL_DAMAGED),
    (each_checkpoint(lambda name: lambda folder: torch.save({}, folder / name)), ALL_DAMAGED),
    (each_checkpoint(lambda name: copy(WEIGHTS, name)), ALL_DAMAGED),
    (each_checkpoint(lambda name: copy(f"other{name.removeprefix('run')}", name)), f"{CHANGED} (model)"),
    (each_checkpoint(lambda name: copy(CASE, name)), "holds a file that is no checkpoint"),
    (tree(CHECKPOINTS[1], "processes", 2), "was trained by 2 processes, and these are 1"),
    (tree(CHECKPOINTS[1], "training.model", {}), "the stored state is not that of this model and optimiser"),
    (tree(CHECKPOINTS[1], "training.iteration"), "the stored state is not that of this model and optimiser"),
    (config("seed", 7), f"{CHANGED} (seed)"),
    (config("optimiser.lr", 0.5), f"{CHANGED} (optimiser)"),
    (config("task.bits", 3), f"{CHANGED} (task)"),
    (remove(METRICS), "run/metrics.jsonl has 0 bytes, but had"),
    (cut(METRICS, 10), "run/metrics.jsonl has 10 bytes, but had"),
    (make_folder(METRICS), "cannot write run/metrics.jsonl: Is a directory"),
]

NO_MEASUREMENT = "run/metrics.jsonl holds a line that is no measurement"
MEASURED: list[tuple[Damage, str]] = [
    (put(METRICS, "garbage\n"), NO_MEASUREMENT),
    (put(METRICS, "{}\n"), NO_MEASUREMENT),
    (put(METRICS, "[1]\n"), NO_MEASUREMENT),
    (put(METRICS, b"\xff\xfe\n"), NO_MEASUREMENT),
    (put(METRICS, '{"split": 1, "iteration": "x", "seconds": 0, "loss": 0, "scores": {}}\n'), NO_MEASUREMENT),
    (make_folder(METRICS), "Is a directory"),
]

NO_CASE = "nan/not-finite.safetensors is damaged"
CASES: list[tuple[Damage, str]] = [
    (remove(CASE), "nan/not-finite.safetensors cannot be read: No such file"),
    (put(CASE, ""), NO_CASE),
    (cut(CASE), NO_CASE),
    (turn(CASE), NO_CASE),
    (copy(CHECKPOINTS[0], CASE), "holds no iteration to do again"),
    (tree(CASE, "format", "torchmann case 2"), "holds no iteration to do again"),
    (tree(CASE, "config"), "was written by another version of torchmann: 'config'"),
    (tree(CASE, "state"), "was written by another version of torchmann: 'state'"),
    (tree(CASE, "batch"), "was written by another version of torchmann: 'batch'"),
]

NO_ARCHIVE = "data/archive.tar.gz is damaged, or is not what its name says"
ARCHIVES: list[tuple[Damage, str]] = [
    (remove(ARCHIVE), "the path data/archive.tar.gz does not exist"),
    (put(ARCHIVE, ""), NO_ARCHIVE),
    (put(ARCHIVE, "text"), NO_ARCHIVE),
    (put(ARCHIVE, gzip.compress(b"x" * 1000, mtime=0)), NO_ARCHIVE),
    (cut(ARCHIVE, 100), NO_ARCHIVE),
    (cut(ARCHIVE, -200), NO_ARCHIVE),
    (make_folder(ARCHIVE), "holds no bAbI files"),
]

NO_SENTENCE = "not the next numbered bAbI sentence"
TEXTS: list[tuple[Damage, str]] = [
    (remove(STORIES), "holds no train file of bAbI task 1"),
    (remove(QUESTIONS), "holds no test file of bAbI task 1"),
    (make_folder(STORIES), "Is a directory"),
    (put(STORIES, ""), "holds no question"),
    (put(STORIES, b"\xff\xfe\n"), "is not UTF-8 text"),
    (put(STORIES, "<html></html>\n"), f"line 1: {NO_SENTENCE}"),
    (put(STORIES, "Mary went.\n"), f"line 1: {NO_SENTENCE}"),
    (put(STORIES, "2 Mary moved.\n"), f"line 1: {NO_SENTENCE}"),
    (put(STORIES, "1 Mary moved.\n3 Where is Mary? \tgarden\t1\n"), f"line 2: {NO_SENTENCE}"),
    (put(STORIES, "1 Mary moved.\n2 Where is Mary? \t\t1\n"), f"line 2: {NO_SENTENCE}"),
    (cut(STORIES, -30), NO_SENTENCE),
]

RECORDED: list[Damage] = [
    remove("case.npz"),
    put("case.npz", ""),
    put("case.npz", "text"),
    cut("case.npz", -50),
    turn("case.npz", 3000),
    case("meta"),
    case("meta", lambda _: np.array("no JSON")),
    case("meta", lambda _: np.array("{}")),
    case("meta", lambda _: np.array('{"source": "deepmind-dn"}')),
    case("input"),
    case("input", lambda array: array[..., :1]),
    case("input", lambda array: array.astype(int)),
    case("input", lambda array: array * np.nan),
    case("param/dnc/lstm/w_gates"),
    case("param/dnc/lstm/w_gates", lambda array: array[:1]),
    case("output", lambda array: array + 1),
    case("output", lambda array: array[:1]),
]


@pytest.fixture
def folder(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return workplace(template, tmp_path, monkeypatch)


TABLE = [
    *(("eval run", *row) for row in (*RUNS, *MODELS)),
    *(("show run", *row) for row in (*RUNS, *MODELS, *MEASURED)),
    *(("train --resume run", *row) for row in RUNS),
    *(("train --resume run", all_of([remove("run/evaluation.json"), damage]), said) for damage, said in UNFINISHED),
    *((f"replay-nan {CASE}", *row) for row in CASES),
    *((f"{BABI}archive.tar.gz", *row) for row in ARCHIVES),
    *((f"{BABI}tasks_1-20_v1-2", *row) for row in TEXTS),
    *(("verify case.npz", damage, "1 of 1 files do not agree, or cannot be replayed") for damage in RECORDED),
]


@pytest.mark.parametrize(("line", "damage", "expected"), TABLE)
def test_bad_files(line: str, damage: Damage, expected: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(folder)
    refuses(line.split(), expected, folder, capsys)
