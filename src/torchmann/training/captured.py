"""Captured iterations: a whole training iteration as one CUDA graph, for each shape of batch that comes again.

A memory network's iteration is thousands of short kernels, and a GPU computes them sooner than they can be started one
by one. A CUDA graph starts all of them at once: forward pass, loss, backward pass, clipping and the optimiser's step.
What is captured reads and writes fixed memory, so each graph keeps the batch that it was captured with, into which the
next ones are copied. Python runs only while capturing. Therefore whatever Python decides anew in each iteration is
refused: noise, schedules, streams, chunks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from torchmann.core.errors import OptionError
from torchmann.core.recorder import Recorder
from torchmann.tasks import Batch, Score, StreamTask, Task
from torchmann.training.backward import Passed
from torchmann.training.optimisers import GravesRMSProp
from torchmann.training.streams import recurrent_body

if TYPE_CHECKING:
    from torchmann.training.loop import Training

Result = TypeVar("Result")

WARM_UP = 3
"""Iterations of a shape that run plainly before it is captured: in them libraries start, steps are compiled and the
optimiser makes its state, none of which may happen during a capture."""

MOST = 4
"""Graphs that are kept, each with memory of its own; batches of further shapes run plainly."""

ENGINES = ("auto", "eager", "compiled")
"""Engines that never wait for the GPU within a sequence; ``"auto"`` is the eager one there."""


class Captured:
    """Runs training iterations, and captures those whose shape comes again; the results are those of `run`.

    The iterations that warm up are iterations of the training like any others. Batches in which rows end at different
    steps run plainly, for the engines take lengths from the CPU, and so does everything while something is recorded.

    Args:
        run: one iteration on a batch that is on the device: backward pass, clipping and the optimiser's step.
    """

    def __init__(self, run: Callable[[Task, Batch], Passed]) -> None:
        self.run = run
        self.graphs: dict[Hashable, CapturedIteration] = {}
        self._seen: Counter[Hashable] = Counter()
        self._stream: Any = None

    def __call__(self, task: Task, batch: Batch) -> Passed:
        """One iteration.

        Raises:
            OptionError: something in it cannot be captured.
        """
        if Recorder.listening() or int(batch.lengths.min()) < len(batch.inputs):
            return self.run(task, batch)
        shape = shape_of(batch)
        if shape not in self.graphs:
            self._stream = self._stream or torch.cuda.Stream()
            self._seen[shape] += 1
            if self._seen[shape] <= WARM_UP or len(self.graphs) == MOST:
                return aside(lambda: self.run(task, batch), self._stream)
            self.graphs[shape] = CapturedIteration(self.run, task, batch, self._stream)
        return self.graphs[shape](batch)

    def forget(self) -> None:
        """Let go of all graphs: the tensors that they write to are no longer those of the training."""
        self.graphs.clear()
        self._seen.clear()


class CapturedIteration:
    """One iteration as a graph.

    Args:
        run: the iteration; it is captured, not run.
        task: of the batch.
        batch: on the device; it is kept, and overwritten.
        stream: on which the iteration was warmed up.

    Raises:
        OptionError: it cannot be captured.
    """

    def __init__(self, run: Callable[[Task, Batch], Passed], task: Task, batch: Batch, stream: Any) -> None:
        self.batch = batch
        self.graph, self.passed = recorded(lambda: run(task, batch), stream)

    def __call__(self, batch: Batch) -> Passed:
        """The iteration on `batch`, of the same shape."""
        for mine, given in zip(_tensors(self.batch), _tensors(batch), strict=True):
            mine.copy_(given, non_blocking=True)
        self.graph.replay()
        # the next iteration overwrites what this one gives, but losses and penalties are added up over many
        penalties = {name: Score(*(part.clone() for part in score)) for name, score in self.passed.penalties.items()}
        return Passed(self.passed.loss.clone(), self.passed.output, batch, penalties)


def aside(run: Callable[[], Result], stream: Any) -> Result:
    """What `run` gives on another stream, before which and after which the current one waits."""
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        result = run()
    torch.cuda.current_stream().wait_stream(stream)
    return result


def recorded(run: Callable[[], Result], stream: Any) -> tuple[Any, Result]:
    """The CUDA graph of `run`, which has been warmed up on `stream`, and where its results will be.

    Raises:
        OptionError: it cannot be captured.
    """
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            return graph, run()
    except RuntimeError as error:
        first = error.__context__ or error  # ending a capture that failed fails as well
        reason = next((line for line in str(first).splitlines() if line.strip()), type(first).__name__)
        raise OptionError(f"this iteration cannot be captured as a CUDA graph: {reason}; use capture=False.") from error


def shape_of(batch: Batch) -> Hashable:
    """What batches must have in common to run through one graph."""
    forms = tuple((tuple(value.shape), value.dtype) for value in _tensors(batch))
    return forms, batch.refresh_kind, batch.first_answer_step


def _tensors(batch: Batch) -> list[Tensor]:
    """All tensors of a batch but its lengths, which stay on the CPU."""
    values = [getattr(batch, field.name) for field in fields(batch) if field.name != "lengths"]
    return [value for value in values if isinstance(value, Tensor)]


def make_capturable(optimiser: Optimizer, capture: bool) -> None:
    """Let an optimiser count its steps on the device, or on the CPU, whatever a stored state says."""
    for group in optimiser.param_groups:
        if "capturable" in group:
            group["capturable"] = capture


def require_capturable(training: Training) -> None:
    """Raise `OptionError` unless an iteration of `training` does the same, whatever its number."""
    settings, optimiser, backward = training.settings, training.optimiser, training.backward
    body, instead = recurrent_body(training.model), "or use capture=False"
    if training.processes.count > 1:
        raise OptionError("capture=True runs in one process: start torchmann without torchrun, or use capture=False.")
    for name in ("truncate", "learning_rate", "refresh_probability"):
        if getattr(settings, name):
            raise OptionError(f"capture=True repeats one and the same iteration: leave {name} out, {instead}.")
    if training.curriculum is not None:
        raise OptionError(f"capture=True repeats one and the same iteration: leave curriculum out, {instead}.")
    if isinstance(training.task, StreamTask):
        raise OptionError("capture=True carries no state from batch to batch: use capture=False for streams of text.")
    if not isinstance(optimiser, GravesRMSProp) and "capturable" not in optimiser.defaults:
        kind = type(optimiser).__name__
        raise OptionError(f"capture=True cannot capture the optimiser {kind}: take adam, rmsprop or graves, {instead}.")
    if body is None or backward.cell is None:
        raise OptionError(f"capture=True needs a model with a Recurrent body, not a {type(training.model).__name__}.")
    if body.engine not in ENGINES:
        raise OptionError(f"capture=True runs with the engines {', '.join(ENGINES)}, got {body.engine!r}: take one.")
    if backward.cell.noise_spec(1) is not None:
        raise OptionError("capture=True would repeat the same noise, and this model draws some: use capture=False.")
