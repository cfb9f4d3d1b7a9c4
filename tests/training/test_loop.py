from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from tests.training.tiny import tiny_config, tiny_settings
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from torchmann.core import OptionError
from torchmann.tasks import Batch, Copy, Score, Task
from torchmann.training import Settings, Training
from torchmann.training.loop import SCORE_EVERY


class Halves(Task):
    """Answer twice the input; the score is how close the single weight of `Scale` is to it."""

    input_kind = "vector"
    target_kind = "values"
    input_size = output_size = 1
    metric = "closeness"

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        generator = torch.Generator().manual_seed(1000 * seed + index)
        inputs = torch.randn(3, batch_size, 1, generator=generator)
        everywhere = torch.ones(3, batch_size, dtype=torch.bool)
        lengths = torch.full((batch_size,), 3)
        return Batch(inputs, 2 * inputs, lengths, everywhere, everywhere, inputs, "l2", 0)

    def batches(self, split: str, batch_size: int) -> int | None:
        return None if split == "train" else 3

    def loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        return (output_TBO - batch.targets).square().mean()

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        close = ((output_TBO - batch.targets).abs() < 0.2).float()
        return {"closeness": Score(close.sum(), torch.tensor(float(close.numel())))}


class Scale(nn.Module):
    """``output = weight input``; remembers what it was called with."""

    def __init__(self, weight: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.calls: list[dict[str, Any]] = []

    def forward(self, inputs: Tensor, **keywords: Any) -> tuple[Tensor, None]:
        self.calls.append({"training": self.training, "rows": inputs.shape[1], **keywords})
        return self.weight * inputs, None


def training(model: nn.Module | None = None, task: Task | None = None, lr: float = 0.3, **settings: Any) -> Training:
    model = Scale() if model is None else model
    return Training(model, task or Halves(), torch.optim.SGD(model.parameters(), lr=lr), tiny_settings(**settings))


def test_it_learns_and_stops_when_solved() -> None:
    run = training(iterations=1000, evaluate_every=2, solved_at=0.99)
    measurements = list(run)
    assert run.stopped == "solved" and run.iteration < 1000 and run.iteration % 2 == 0
    last = measurements[-1]
    assert last.split == "validation" and last.scores["closeness"] >= 0.99
    assert abs(run.model.weight.item() - 2) < 0.2


def test_measurements_come_when_asked_for() -> None:
    places = [(m.split, m.iteration) for m in training(iterations=7, log_every=3, evaluate_every=2)]
    expected = [("validation", 2), ("train", 3), ("validation", 4), ("train", 6), ("validation", 6)]
    assert places == [*expected, ("train", 7), ("validation", 7)]


def test_training_measurements_are_means_since_the_last_one() -> None:
    """The loss over all iterations, the scores over every fifth one and the last."""
    each = [m for m in training(lr=0.05, iterations=14, log_every=1) if m.split == "train"]
    sevens = [m for m in training(lr=0.05, iterations=14, log_every=7) if m.split == "train"]
    for first, seven in zip((0, 7), sevens, strict=True):
        ours = each[first : first + 7]
        scored = [m.scores["closeness"] for m in ours if m.iteration % SCORE_EVERY == 1 or m.iteration % 7 == 0]
        assert seven.loss == pytest.approx(sum(m.loss for m in ours) / 7)
        assert len(scored) == (3 if first == 0 else 2) and len(set(scored)) > 1
        assert seven.scores["closeness"] == pytest.approx(sum(scored) / len(scored))


def test_the_model_gets_lengths_and_its_mode() -> None:
    run = training(iterations=2)
    list(run)
    steps = [call for call in run.model.calls if call["training"]]
    held_out = [call for call in run.model.calls if not call["training"]]
    assert [call["rows"] for call in steps] == [4, 4] and [call["rows"] for call in held_out] == [5, 5]
    assert all(call["lengths"].tolist() == [3] * call["rows"] for call in run.model.calls)
    assert all(isinstance(call["generator"], torch.Generator) for call in steps)


def test_the_learning_rate_follows_its_schedule() -> None:
    run, rates = training(learning_rate="steps:0.3:-0.2:2:0.1"), []
    run.start()
    for _ in range(4):
        run.step()
        rates.append(run.optimiser.param_groups[0]["lr"])
    assert rates == pytest.approx([0.3, 0.3, 0.1, 0.1])
    with pytest.raises(OptionError, match="'steps' is written steps:START:STEP:EVERY:END"):
        training(learning_rate="steps:0.3")


def test_it_stops_in_time() -> None:
    run = training(iterations=10**9, evaluate_every=10**9, max_seconds=0.2)
    last = list(run)[-1]
    assert run.stopped == "time" and last.split == "validation" and 0.2 <= last.seconds < 10


def test_an_interruption_ends_after_the_iteration_under_way() -> None:
    run = training(iterations=100)
    seen = []
    for measurement in run:
        seen.append(measurement)
        if run.iteration == 3:
            run.interrupt()
    assert run.stopped == "interrupted" and run.iteration == 4
    assert [m.split for m in seen if m.iteration == 4] == ["train", "validation"], "what the iteration would have had"


def test_what_had_ended_anyway_was_not_interrupted() -> None:
    run = training(iterations=3)
    run.interrupt()
    run.step()
    run.step()
    list(run)
    assert run.stopped == "iterations"


def test_a_loss_that_is_not_finite_is_an_error_that_names_the_iteration() -> None:
    class Breaks(Halves):
        def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
            batch = super().batch(index, batch_size, seed=seed, split=split)
            if split == "train" and index == 4:  # the fifth iteration
                batch.inputs.fill_(math.inf)
            return batch

    run = training(task=Breaks(), iterations=100, log_every=8, evaluate_every=100)
    with pytest.raises(
        FloatingPointError, match=r"at iteration 5: the task gave inf in inputs at step 0, row 0; look at the data"
    ):
        list(run)


def test_solved_at_needs_validation_sequences() -> None:
    class NoneHeldOut(Halves):
        def batches(self, split: str, batch_size: int) -> int | None:
            return None if split == "train" else 0

    assert {m.split for m in training(task=NoneHeldOut(), iterations=2)} == {"train"}
    with pytest.raises(OptionError, match="solved_at needs validation sequences"):
        training(task=NoneHeldOut(), solved_at=0.5)


def test_batches_depend_on_the_seed() -> None:
    one, again, other = (next(iter(training(seed=seed))).loss for seed in (0, 0, 1))
    assert one == again != other


def trained(seed: int) -> tuple[list[tuple[Any, ...]], dict[str, Tensor]]:
    config = tiny_config(iterations=6, seed=seed)
    task = config.build_task()
    model = config.build_model(task)
    run = Training(model, task, config.build_optimiser(model), config.settings)
    return [(m.split, m.iteration, m.loss, m.scores) for m in run], model.state_dict()


def test_a_run_repeats_bit_for_bit_and_another_seed_is_another_run() -> None:
    (one, weights), (two, again), (other, _) = trained(0), trained(0), trained(1)
    assert one == two and one != other
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_global_random_numbers_do_not_matter_and_are_not_touched() -> None:
    torch.manual_seed(1)
    one, _ = trained(0)
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)
    torch.manual_seed(2)
    assert trained(0)[0] == one


def test_validation_does_not_change_what_is_learnt() -> None:
    results = []
    for every in (1, 1000):
        config = tiny_config("lstm", iterations=5, evaluate_every=every)
        task = Copy(bits=2, max_length=2)
        model = config.build_model(task)
        list(Training(model, task, config.build_optimiser(model), config.settings))
        results.append(model.state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


class Reads(TorchDispatchMode):
    """Keeps the types of all numbers that Python reads from tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.types: set[torch.dtype] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten._local_scalar_dense.default:
            self.types.add(args[0].dtype)
        return function(*args, **(kwargs or {}))


def test_a_step_reads_nothing_that_was_computed() -> None:
    """On a GPU such a read would wait for it. The lengths of a batch are read; they are drawn and kept on the CPU."""
    config = tiny_config("dnc", refresh_probability=0.3, log_every=1)
    task = config.build_task()
    model = config.build_model(task)
    run = Training(model, task, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), config.settings)
    with Reads() as reads:
        for _ in range(2):
            run.step()
    assert reads.types == {torch.int64}
    with Reads() as reads:
        run.tally.means()
    assert reads.types != {torch.int64}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        ({"clip_limit": 0.0}, "clip_limit must be above 0"),
        ({"max_seconds": 0.0}, "max_seconds must be above 0"),
    ],
)
def test_settings_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Settings(**options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_clear_error() -> None:
    with pytest.raises(OptionError, match="device 'cuda' is not usable here"):
        training(device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_learns_from_the_same_batches() -> None:
    losses = []
    for device in ("cpu", "cuda"):
        config = tiny_config(iterations=3, device=device)
        task = config.build_task()
        model = config.build_model(task)
        losses.append([m.loss for m in Training(model, task, config.build_optimiser(model), config.settings)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
