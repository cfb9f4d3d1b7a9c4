"""Convex hull: shown labelled points of the plane, answer the labels of their hull's corners, in order.

Legend: T time, B batch, N points, S steps of the longest hull, closed, O output.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.core.errors import OptionError, ShapeError, unknown_name
from torchmann.data.convex_hull import Hulls, load_convex_hulls
from torchmann.tasks import scoring
from torchmann.tasks.bits import require_range
from torchmann.tasks.scoring import WordLoss
from torchmann.tasks.task import Batch, Score, Task, random_stream, require_request

Encoding = Literal["dam", "stm"]
Files = Literal["none", "test", "all"]

GRID = 2**24
"""Drawn points lie on a grid of so many lines a side: float32 has each of them, and int64 each hull exactly."""


class ConvexHull(Task):
    """Show n points with labels, then an end signal; answer the hull's corners and an end marker.

    Vinyals et al. 2015; dam.md 4.5, comparators-memory.md 2. The points are uniform in the unit square. The hull goes
    counter-clockwise from its corner that was shown first to that corner again, so with k corners there are
    ``n + k + 3`` steps. All sequences of a training batch have the same n, drawn uniformly. In training the labels
    1..n are permuted at random; on held-out data they count the points as they are shown.

    Args:
        min_points: Fewest points; at least 3.
        max_points: Most points (included).
        labels: Labels that there are; at least `max_points`. Inputs and outputs have one channel for each.
        encoding: ``dam``: label 0 is the end, shown after the points and answered after the hull. ``stm``: channel 0 of
            the labels marks the last point, a step of zeros follows it, and the class after the last label is the end.
        files: Which splits are read from the public files instead of drawn: ``none``, ``test``, or ``all`` (test and
            training; validation has no file). Only instances of `min_points` to `max_points` are taken.
        data: A file ``convex_hull_N_test.txt`` (or ``.txt.gz``), or a folder with such files; by default
            ``convex_hull`` in the folder named by the environment variable TORCHMANN_DATA.
        allow_partial: Take files that have fewer instances than the published ones; for short: --allow-partial.
        loss: ``word``: mean over the answered labels; ``step``: mean over batch and padded time; ``episode``:
            summed over the answered labels, mean over the batch.
    """

    input_kind = "vector"
    target_kind = "classes"
    metric = "sequence_accuracy"
    references = ("pointer",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "dam": {"min_points": 5, "max_points": 20, "labels": 20, "loss": "step"},
        "stm": {"min_points": 5, "max_points": 20, "labels": 20, "encoding": "stm"},
    }

    def __init__(
        self,
        min_points: int = 5,
        max_points: int = 20,
        labels: int = 20,
        encoding: Encoding = "dam",
        files: Files = "none",
        data: str | None = None,
        allow_partial: bool = False,
        loss: WordLoss = "word",
    ) -> None:
        require_range("points", min_points, max_points, at_least=3)
        scoring.require_normalisation(loss, WordLoss)
        if labels < max_points:
            raise OptionError(f"labels must be at least max_points = {max_points}, got {labels}.")
        if encoding not in get_args(Encoding):
            raise unknown_name("encoding", encoding, get_args(Encoding))
        if files not in get_args(Files):
            raise unknown_name("choice of files", files, get_args(Files))
        if data is not None and files == "none":
            raise OptionError(f"data={data!r} is not read with files='none': give files='test' or files='all' as well.")
        self.min_points, self.max_points, self.labels = min_points, max_points, labels
        self.encoding, self.normalisation = encoding, loss
        self.output_size = labels + 1 if encoding == "dam" else labels + 2
        self.end = 0 if encoding == "dam" else labels + 1
        self.input_size = self.refresh_size = 2 + self.output_size
        self.story_steps = max_points + 1
        splits: dict[str, tuple[str, ...]] = {"none": (), "test": ("test",), "all": ("train", "test")}
        self._read = {
            split: load_convex_hulls(
                split, data, min_points=min_points, max_points=max_points, allow_partial=allow_partial
            )
            for split in splits[files]
        }

    def batches(self, split: str, batch_size: int) -> int | None:
        """Batches that cover a test file once; None for training and for what is drawn, which never end."""
        require_request(0, batch_size, split)
        if split == "train" or split not in self._read:
            return None
        return -(-len(self._read[split].counts_B) // batch_size)

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        """See `Task.batch`; a test file does not depend on `seed`."""
        require_request(index, batch_size, split)
        generator = random_stream(seed, split, index)
        if split not in self._read:
            hulls = self._draw(batch_size, generator)
        elif split == "train":
            hulls = self._pick(self._read[split], batch_size, generator)
        else:
            hulls = self._take(self._read[split], index, batch_size)
        rows, points = hulls.points_BN2.shape[:2]
        labels_BN = torch.arange(1, points + 1).expand(rows, -1)
        if split == "train":
            labels_BN = 1 + torch.rand(rows, points, generator=generator).argsort(1)
        return self._encode(hulls, labels_BN)

    def _draw(self, batch_size: int, generator: torch.Generator) -> Hulls:
        points = int(torch.randint(self.min_points, self.max_points + 1, (), generator=generator))
        points_BN2 = torch.randint(GRID, (batch_size, points, 2), generator=generator)
        return Hulls(points_BN2 / GRID, torch.full((batch_size,), points), convex_hull(points_BN2))

    def _pick(self, hulls: Hulls, batch_size: int, generator: torch.Generator) -> Hulls:
        """Instances of one size: each size that there is is equally likely, and then each instance of it."""
        sizes = hulls.counts_B.unique()
        size = sizes[torch.randint(len(sizes), (), generator=generator)]
        rows = (hulls.counts_B == size).nonzero().flatten()
        return hulls.rows(rows[torch.randint(len(rows), (batch_size,), generator=generator)])

    def _take(self, hulls: Hulls, index: int, batch_size: int) -> Hulls:
        if index * batch_size >= len(hulls.counts_B):
            raise OptionError(
                f"split 'test' has {len(hulls.counts_B)} instances, so no batch {index} of {batch_size}: batches() "
                "tells how many there are."
            )
        return hulls.rows(slice(index * batch_size, (index + 1) * batch_size))

    def _encode(self, hulls: Hulls, labels_BN: Tensor) -> Batch:
        points_BN2, counts_B, corners_BS = hulls
        rows, points = labels_BN.shape
        answer_BS = F.pad(labels_BN.gather(1, corners_BS.clamp(min=0)), (0, 1))
        ends_B = (corners_BS >= 0).sum(1)
        answer_BS = answer_BS.scatter(1, ends_B.unsqueeze(1), self.end)

        lengths_B = counts_B + ends_B + 2
        step_TB = torch.arange(int(lengths_B.max())).unsqueeze(1).expand(-1, rows)
        shown_TB = step_TB < counts_B
        place_TB = step_TB - counts_B - 1  # in the answer
        answer_mask = (place_TB >= 0) & (place_TB <= ends_B)
        targets = answer_BS.T.gather(0, place_TB.clamp(0, answer_BS.shape[1] - 1)) * answer_mask

        shown_BNI = torch.cat([points_BN2.float(), F.one_hot(labels_BN, self.output_size)], -1)
        inputs = torch.zeros(*step_TB.shape, self.input_size)
        inputs[:points] = shown_BNI.transpose(0, 1) * shown_TB[:points].unsqueeze(-1)
        signal_B = counts_B if self.encoding == "dam" else counts_B - 1
        inputs[signal_B, torch.arange(rows), 2] = 1
        return Batch(
            inputs=inputs,
            targets=targets,
            lengths=lengths_B,
            answer_mask=answer_mask,
            refresh_mask=shown_TB,
            refresh_target=inputs,
            refresh_kind="l2",
            first_answer_step=int(counts_B.min()) + 1,
        )

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Softmax cross entropy (nats)."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.word_losses(output_TBO, batch.targets)

    def divisor(self, batch: Batch) -> Tensor:
        """As the keyword ``loss`` of the task says."""
        return scoring.divisor(batch.answer_mask, 1, self.normalisation)

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``sequence_accuracy`` (hulls with every label and the end right), ``position_accuracy`` (labels and ends)
        and ``cross_entropy``; see `scoring.class_scores`."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.class_scores(output_TBO, batch.targets, batch.answer_mask)

    def longer(self) -> dict[str, Task]:
        """Exactly twice and four times the most trained points, as far as there are labels; drawn."""
        sizes = [points for points in (2 * self.max_points, 4 * self.max_points) if points <= self.labels]
        options: dict[str, Any] = {"labels": self.labels, "encoding": self.encoding, "loss": self.normalisation}
        return {f"points {points}": ConvexHull(points, points, **options) for points in sizes}


def convex_hull(points_BN2: Tensor) -> Tensor:
    """The hull of each row: indices of its corners, counter-clockwise from the lowest index back to it, then -1.

    A point on an edge is no corner, and of equal points only the first can be one. Points on one line have the hull
    there and back; one point, repeated, has itself.

    Args:
        points_BN2: int64 coordinates between -2^29 and 2^29, for which everything is exact; N is at least 1.

    Returns:
        ``[B, S]`` int64.

    Raises:
        ShapeError: another shape or dtype.
    """
    if points_BN2.dtype != torch.int64 or points_BN2.ndim != 3 or points_BN2.shape[2] != 2 or not points_BN2.shape[1]:
        raise ShapeError(
            f"points must be int64 [B, N, 2] with N at least 1, got {points_BN2.dtype} {list(points_BN2.shape)}: put "
            "real coordinates on a grid of whole numbers."
        )
    next_BN = _next_corners(points_BN2)
    corner_BN = next_BN >= 0
    counts_B = corner_BN.sum(1)
    walk = [corner_BN.int().argmax(1, keepdim=True)]
    for _ in range(int(counts_B.max())):
        walk.append(next_BN.gather(1, walk[-1]))
    corners_BS = torch.cat(walk, 1)
    return corners_BS.where(torch.arange(len(walk)) <= counts_B.unsqueeze(1), -1)


def _next_corners(points_BN2: Tensor) -> Tensor:
    """For each point the corner that follows it on the hull, ``[B, N]``; -1 for a point that is no corner.

    The hull goes from i to j if every point k is to the left of that line, or on it between i and j.
    """
    x_BN, y_BN = points_BN2.unbind(-1)
    cross_BNN = x_BN.unsqueeze(2) * y_BN.unsqueeze(1) - y_BN.unsqueeze(2) * x_BN.unsqueeze(1)
    dot_BNN = x_BN.unsqueeze(2) * x_BN.unsqueeze(1) + y_BN.unsqueeze(2) * y_BN.unsqueeze(1)
    square_B1N = dot_BNN.diagonal(dim1=1, dim2=2).unsqueeze(1)
    equal_BNN = (points_BN2.unsqueeze(2) == points_BN2.unsqueeze(1)).all(-1)
    first_BN = ~equal_BNN.tril(-1).any(-1)  # the others repeat an earlier point
    following = []
    for i in range(points_BN2.shape[1]):
        turn_BJK = cross_BNN[:, i].unsqueeze(2) + cross_BNN - cross_BNN[:, i].unsqueeze(1)  # (j - i) x (k - i)
        apart_BJK = square_B1N - dot_BNN[:, i].unsqueeze(1) - dot_BNN + dot_BNN[:, i].unsqueeze(2)  # (k - i) . (k - j)
        edge_BJ = ((turn_BJK > 0) | ((turn_BJK == 0) & (apart_BJK <= 0))).all(2) & first_BN
        is_corner_B = edge_BJ.any(1) & first_BN[:, i]
        following.append(edge_BJ.int().argmax(1).where(is_corner_B, -1))
    return torch.stack(following, 1)
