"""Prove that a task keeps the contract of `Task`.

Legend: T time, B batch, O output.
"""

from __future__ import annotations

from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.tasks.stream import StreamTask
from torchmann.tasks.task import SPLITS, Batch, Task

INPUT_KINDS = ("vector", "tokens", "sentences")
TARGET_KINDS = ("bits", "classes", "values")
_SURE = 30.0  # a logit that leaves no doubt


def check_task(task: Task, *, batch_size: int = 3, seed: int = 0) -> None:
    """Check sizes, masks, purity, splits, loss and scores of a task, and of its `longer` forms.

    Args:
        task: the task to check.
        batch_size: rows of the batches that are drawn.
        seed: seed of the batches that are drawn.

    Raises:
        AssertionError: the contract is broken; the message names the part that broke it.
    """
    _check_sizes(task)
    for split in SPLITS:
        count = task.batches(split, batch_size)
        _require(count is None or count >= 0, f"batches({split!r}) must be None or at least 0, got {count}")
        if count == 0:
            continue
        batch = task.batch(0, batch_size, seed=seed, split=split)
        _check_batch(task, batch)
        _check_purity(task, batch, batch_size, seed, split)
        _check_loss_and_scores(task, batch)
        if count is not None:
            last = task.batch(count - 1, batch_size, seed=seed, split=split)
            _require(0 < last.batch_size <= batch_size, f"{split!r} ends with {last.batch_size} rows")
            _check_batch(task, last)
    _check_streams(task, batch_size, seed)
    for label, longer in task.longer().items():
        _require(
            _kind(longer) == _kind(task),
            f"longer()[{label!r}] must have the kinds, sizes and metric of the task itself",
        )
        _check_batch(longer, longer.batch(0, batch_size, seed=seed, split="test"))


def perfect_output(task: Task, batch: Batch) -> Tensor:
    """The output ``[T, B, O]`` that answers everything right and without doubt."""
    if task.target_kind == "values":
        return batch.targets
    if task.target_kind == "bits":
        return (2 * batch.targets - 1) * _SURE
    return F.one_hot(batch.targets, task.output_size).float() * _SURE


def _require(condition: bool | float | Tensor, message: str) -> None:
    if not condition:
        raise AssertionError(message + ".")


def _kind(task: Task) -> tuple[object, ...]:
    sizes = task.input_size, task.output_size, task.refresh_size, task.sentence_length
    return task.input_kind, task.target_kind, *sizes, task.metric


def _check_sizes(task: Task) -> None:
    for name, known in (("input_kind", INPUT_KINDS), ("target_kind", TARGET_KINDS)):
        kind = getattr(task, name)
        _require(kind in known, f"{name} must be one of {', '.join(known)}, got {kind!r}")
    for name, least in (("input_size", 1), ("output_size", 1), ("refresh_size", 0)):
        size = getattr(task, name)
        _require(isinstance(size, int) and size >= least, f"{name} must be an int >= {least}, got {size!r}")
    words = task.sentence_length
    if task.input_kind == "sentences":
        _require(isinstance(words, int) and words >= 1, f"sentence_length must be an int >= 1, got {words!r}")
    else:
        _require(words is None, f"sentence_length must be None without sentences, got {words!r}")


def _check_batch(task: Task, batch: Batch) -> None:
    steps, rows = batch.inputs.shape[:2]
    tokens = task.input_kind != "vector"
    classes = task.target_kind == "classes"
    shown = {"vector": (task.input_size,), "tokens": (), "sentences": (task.sentence_length or 0,)}[task.input_kind]
    _require_tensor("inputs", batch.inputs, (steps, rows, *shown), tokens)
    _require_tensor("targets", batch.targets, (steps, rows) + (() if classes else (task.output_size,)), classes)
    for name in ("answer_mask", "refresh_mask"):
        mask = getattr(batch, name)
        _require(mask.dtype == torch.bool and mask.shape == (steps, rows), f"{name} must be bool [T, B]")

    lengths = batch.lengths
    _require(
        lengths.device.type == "cpu" and lengths.dtype == torch.int64 and lengths.shape == (rows,),
        "lengths must be int64 [B] on the CPU",
    )
    _require((lengths >= 1).all(), "every length must be at least 1")
    _require(int(lengths.max()) == steps, f"T={steps} must be the longest length, {int(lengths.max())}")

    padding = torch.arange(steps).unsqueeze(1) >= lengths
    for name in ("inputs", "targets", "answer_mask", "refresh_mask"):
        _require(not getattr(batch, name)[padding].any(), f"{name} must be zero (False) on padding")
    _require(not batch.targets[~batch.answer_mask].any(), "targets must be zero where nothing is answered")
    _require(batch.answer_mask.any(0).all(), "every row must answer at some step")
    first = int(batch.answer_mask.any(1).int().argmax())
    _require(batch.first_answer_step == first, f"first_answer_step must be {first}, got {batch.first_answer_step}")

    if tokens:
        in_range = (batch.inputs >= 0) & (batch.inputs < task.input_size)
        _require(in_range.all(), "tokens must be in 0..input_size-1")
    if classes:
        in_range = (batch.targets >= 0) & (batch.targets < task.output_size)
        _require(in_range.all(), "target classes must be in 0..output_size-1")
    elif task.target_kind == "bits":
        _require(((batch.targets == 0) | (batch.targets == 1)).all(), "target bits must be 0 or 1")
    else:
        _require(batch.targets.isfinite().all(), "target values must be finite")
    _check_refreshing(task, batch)


def _check_refreshing(task: Task, batch: Batch) -> None:
    kinds = ("binary", "tokens", "l2")
    _require(batch.refresh_kind in kinds, f"refresh_kind must be one of {kinds}, got {batch.refresh_kind!r}")
    tokens = batch.refresh_kind == "tokens"
    shape = tuple(batch.inputs.shape[:2])
    if not tokens:
        shape += (task.refresh_size or task.output_size,)
    _require_tensor("refresh_target", batch.refresh_target, shape, tokens)


def _require_tensor(name: str, value: Tensor, shape: tuple[int, ...], whole: bool) -> None:
    dtype = torch.int64 if whole else torch.float32
    _require(
        value.shape == shape and value.dtype == dtype,
        f"{name} must be {dtype} {list(shape)}, got {value.dtype} {list(value.shape)}",
    )


def _equal(left: Batch, right: Batch) -> bool:
    """Whether two batches are the same in every field."""
    for field in fields(left):
        ours, theirs = getattr(left, field.name), getattr(right, field.name)
        if not (torch.equal(ours, theirs) if isinstance(ours, Tensor) else ours == theirs):
            return False
    return True


def _check_purity(task: Task, batch: Batch, batch_size: int, seed: int, split: str) -> None:
    before = torch.get_rng_state()
    again = task.batch(0, batch_size, seed=seed, split=split)
    _require(_equal(batch, again), f"batch(0, split={split!r}) must give the same batch at each call")
    _require(torch.equal(before, torch.get_rng_state()), "batch() must not use torch's global random numbers")


def _check_streams(task: Task, batch_size: int, seed: int) -> None:
    """Different indices, splits and seeds must give different batches; only a stream may be the same for all seeds."""
    first = task.batch(0, batch_size, seed=seed)
    others = {"another index": task.batch(1, batch_size, seed=seed)}
    if not isinstance(task, StreamTask):
        others["another seed"] = task.batch(0, batch_size, seed=seed + 1)
    for split in SPLITS[1:]:
        if task.batches(split, batch_size) != 0:
            others[f"split {split!r}"] = task.batch(0, batch_size, seed=seed, split=split)
    for label, other in others.items():
        _require(not _equal(first, other), f"{label} must give a batch other than the first training batch")


def _check_loss_and_scores(task: Task, batch: Batch) -> None:
    noise = torch.Generator().manual_seed(0)
    answered = batch.answer_mask.unsqueeze(-1)
    output = torch.randn(*answered.shape[:2], task.output_size, generator=noise, requires_grad=True)
    loss = task.loss(output, batch)
    _require(loss.ndim == 0 and loss.isfinite().item(), f"loss must be a finite 0-dim tensor, got {loss}")
    loss.backward()
    gradient = output.grad
    if gradient is None or not gradient.any():
        raise AssertionError("loss must depend on the output.")
    _require(not gradient.masked_fill(answered, 0).any(), "loss must depend on the answered steps only")

    elsewhere = torch.where(answered, output.detach(), -output.detach())
    scores, same = task.scores(output.detach(), batch), task.scores(elsewhere, batch)
    _require(task.metric in scores, f"scores must contain the metric {task.metric!r}, got {sorted(scores)}")
    for name, score in scores.items():
        _require(score.total.ndim == 0 and score.weight.ndim == 0, f"score {name!r} must be two 0-dim sums")
        _require(score.weight >= 0, f"score {name!r} has a negative weight")
        unchanged = torch.equal(score.total, same[name].total)
        _require(unchanged, f"score {name!r} must depend on the answered steps only")

    right = perfect_output(task, batch)
    total, weight = task.scores(right, batch)[task.metric]
    _require(weight > 0 and total == weight, f"a perfect output must score 1, got {total} / {weight}")
    _require(task.loss(right, batch) < 1e-6, "a perfect output must have a loss of almost 0")
    wrong = task.scores(-right, batch)[task.metric]
    _require(wrong.total < wrong.weight, f"a wrong output must score {task.metric} below 1")
