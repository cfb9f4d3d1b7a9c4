"""MNIST pixel by pixel, on a few made-up digits and on the published ones where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.mnist_files import digits, take_for_published, write_mnist
from torch import Tensor

from torchmann import tasks
from torchmann.core.errors import DataError, OptionError
from torchmann.data import mnist
from torchmann.tasks import Batch, PermutedMnist, PixelMnist
from torchmann.tasks.check import perfect_output

PUBLISHED = dict(mnist.SHA256)
DIVISORS = [size for size in range(1, 785) if 784 % size == 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> object:
    path = tmp_path_factory.mktemp("data") / "mnist"
    with pytest.MonkeyPatch.context() as monkeypatch:
        take_for_published(write_mnist(path), monkeypatch)
        yield str(path)


def images_of(batch: Batch) -> list[tuple[int, ...]]:
    """The pixels of each row, in the order in which they are shown."""
    pixels_BP = batch.inputs.transpose(0, 1).flatten(1) * 255
    return [tuple(pixels) for pixels in pixels_BP.round().int().tolist()]


def known(split: str, order: Tensor | None = None) -> list[tuple[tuple[int, ...], int]]:
    images, labels = digits(split)
    flat = images.flatten(1) if order is None else images.flatten(1)[:, order]
    return [(tuple(image), label) for image, label in zip(flat.tolist(), labels.tolist(), strict=True)]


def shown(task: PixelMnist, split: str, batches: range, rows: int) -> list[tuple[tuple[int, ...], int]]:
    drawn = [task.batch(index, rows, seed=2, split=split) for index in batches]
    return [pair for batch in drawn for pair in zip(images_of(batch), batch.targets[-1].tolist(), strict=True)]


@pytest.mark.parametrize("name", ["mnist", "pmnist"])
def test_they_keep_the_contract(name: str, folder: str) -> None:
    tasks.check_task(tasks.make(name, validation=10, pixels_per_step=28, data=folder))
    tasks.check_task(tasks.make(name, validation=0, data=folder))


@settings(max_examples=10)
@given(pixels=st.sampled_from(DIVISORS), permuted=st.booleans())
def test_every_image_is_shown_whole_and_named_at_the_end(folder: str, pixels: int, permuted: bool) -> None:
    options = {"validation": 8, "pixels_per_step": pixels, "data": folder}
    task = PermutedMnist(permutation_seed=7, **options) if permuted else PixelMnist(**options)
    order = torch.tensor(np.random.RandomState(7).permutation(784)) if permuted else None
    assert sorted(shown(task, "train", range(8), 4)) == sorted(known("train", order)[:32])
    assert sorted(shown(task, "validation", range(2), 5)) == sorted(known("train", order)[32:])
    assert sorted(shown(task, "test", range(3), 5)) == sorted(known("test", order))
    batch = task.batch(0, 3, seed=0)
    steps = 784 // pixels
    assert batch.inputs.shape == (steps, 3, pixels) and task.story_steps == steps
    assert batch.first_answer_step == steps - 1 and batch.answer_mask.sum() == 3 and batch.answer_mask[-1].all()
    assert batch.inputs.min() >= 0 and batch.inputs.max() <= 1


def test_epochs_differ_and_held_out_batches_do_not(folder: str) -> None:
    task = PixelMnist(validation=8, pixels_per_step=784, data=folder)
    epochs = [shown(task, "train", range(4 * epoch, 4 * epoch + 4), 8) for epoch in range(2)]
    assert epochs[0] != epochs[1] and sorted(epochs[0]) == sorted(epochs[1])
    assert torch.equal(task.batch(0, 4, seed=0, split="test").inputs, task.batch(0, 4, seed=1, split="test").inputs)
    assert [task.batches(split, 5) for split in tasks.SPLITS] == [None, 2, 3]
    with pytest.raises(OptionError, match="'test' has 12 examples, so no batch 3 of 5"):
        task.batch(3, 5, seed=0, split="test")


def test_presets(folder: str) -> None:
    """numpy's generator of that name gives the same numbers in every version."""
    first = {"armin": [649, 265, 111], "dilated": [319, 576, 323]}
    for name, order in first.items():
        options = {**PermutedMnist.presets[name], "validation": 4, "data": folder}
        assert PermutedMnist(**options).permutation[:3].tolist() == order
    assert PermutedMnist.presets["armin"]["validation"] == 6_000
    assert {task.presets["uw"]["validation"] for task in (PixelMnist, PermutedMnist)} == {10_000}


def test_scores(folder: str) -> None:
    task = PixelMnist(validation=0, pixels_per_step=28, data=folder)
    batch = task.batch(0, 4, seed=0)
    output = perfect_output(task, batch)
    output[-1, 0] = -output[-1, 0]
    scores = task.scores(output, batch)
    assert tuple(map(float, scores["accuracy"])) == (3, 4)
    even = task.scores(torch.zeros_like(output), batch)["cross_entropy"]
    assert even.total / even.weight == pytest.approx(np.log(10))
    assert task.loss(torch.zeros_like(output), batch).item() == pytest.approx(np.log(10))


def test_refreshing_reproduces_the_pixels(folder: str) -> None:
    task = PixelMnist(validation=0, pixels_per_step=28, data=folder)
    batch = task.batch(0, 2, seed=0)
    assert task.refresh_size == 28 and batch.refresh_kind == "l2" and batch.refresh_mask.all()
    assert torch.equal(batch.refresh_target, batch.inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pixels_per_step": 0}, "pixels_per_step must be an integer of at least 1"),
        ({"pixels_per_step": 30}, "pixels_per_step must divide 784, got 30; 28 is a row"),
        ({"validation": 40}, "validation must be at least 0 and below 40, got 40"),
        ({"validation": -1}, "validation must be at least 0"),
        ({"permutation_seed": -1}, "permutation_seed must be at least 0"),
    ],
)
def test_bad_options(options: dict[str, int], message: str, folder: str) -> None:
    with pytest.raises(OptionError, match=message):
        PermutedMnist(**{"validation": 4, "data": folder, **options})


def test_missing_data_is_one_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCHMANN_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"MNIST: not found in .*torchmann download mnist"):
        tasks.make("pmnist")


@pytest.mark.skipif(
    not (Path(os.environ.get("TORCHMANN_DATA", "nowhere")) / "mnist").is_dir(),
    reason="TORCHMANN_DATA names no folder with mnist/",
)
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("mnist/uw", [50_000, 10_000, 10_000]),
        ("pmnist/armin", [54_000, 6_000, 10_000]),
        ("pmnist/dilated", [55_000, 5_000, 10_000]),
    ],
)
def test_published_mnist(name: str, counts: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "SHA256", PUBLISHED)
    task = tasks.make(name)
    assert [task.example_count(split) for split in tasks.SPLITS] == counts
    assert task.batch(0, 4, seed=0).inputs.shape == (784, 4, 1)
