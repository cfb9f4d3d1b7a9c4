"""Representation recall: store long vectors; shown half of the segments of one, answer the other half.

Legend: T time, B batch, O output, L stored vectors, Q queries, S segments of a vector, C bits of a segment.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive, unknown_name
from torchmann.tasks import scoring
from torchmann.tasks.bits import draw_range, require_range
from torchmann.tasks.scoring import BitLoss
from torchmann.tasks.task import Batch, Score, Task, random_stream, require_request

Generator = Literal["shuffled", "released"]


class RepresentationRecall(Task):
    """Show vectors of several segments; a query shows a random half of one's segments and asks for the rest at once.

    Park et al. 2020; dam.md 4.3. Step 0 is the first flag, then the vectors, the second flag, and one step for each
    query: the removed segments are zero in its input, and in ascending order its target. The values of a segment are
    distinct over the vectors and neither all zeros nor all ones, so one kept segment tells which vector is meant.

    Args:
        bits: Width of a vector.
        segments: Segments of a vector, an even number.
        vectors: Vectors of an episode.
        min_queries: Fewest queries.
        max_queries: Most queries (included).
        generator: ``shuffled``: the segments of a vector are independent. ``released``: the values of each segment
            ascend over the vectors, as in the authors' code, so that the kept segments hint at the removed ones and a
            model without memory is right about many bits.
        loss: ``bit``: mean over the answered bits; ``step``: summed over the channels, mean over batch and
            padded time; ``episode``: summed over channels and answered steps, mean over the batch.
    """

    input_kind = "vector"
    target_kind = "bits"
    metric = "bit_accuracy"
    references = ("dam",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"dam": {"generator": "released", "loss": "step"}}

    def __init__(
        self,
        bits: int = 64,
        segments: int = 8,
        vectors: int = 8,
        min_queries: int = 8,
        max_queries: int = 16,
        generator: Generator = "shuffled",
        loss: BitLoss = "bit",
    ) -> None:
        require_positive(bits=bits, segments=segments, vectors=vectors)
        require_range("queries", min_queries, max_queries)
        scoring.require_normalisation(loss, BitLoss)
        if generator not in get_args(Generator):
            raise unknown_name("generator", generator, get_args(Generator))
        if segments % 2 or bits % segments:
            raise OptionError(f"segments must be even and divide bits, got segments={segments} and bits={bits}.")
        if not vectors <= 2 ** (bits // segments) - 2 < 2**62:
            raise OptionError(
                f"bits / segments must be at most 62 and give {vectors} vectors distinct values besides all zeros and "
                f"all ones, got {bits} / {segments}."
            )
        self.bits, self.segments, self.vectors = bits, segments, vectors
        self.min_queries, self.max_queries = min_queries, max_queries
        self.generator, self.normalisation = generator, loss
        self.input_size = bits + 2
        self.output_size = bits // 2
        self.refresh_size = bits
        self.story_steps = vectors + 2

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> Batch:
        """See `Task.batch`; every (seed, split, index) is its own random stream and no split ends."""
        require_request(index, batch_size, split)
        generator = random_stream(seed, split, index)
        queries_B = draw_range(self.min_queries, self.max_queries, batch_size, generator)
        stored_LBSC = self._draw_vectors(batch_size, generator)
        asking_QB = torch.arange(int(queries_B.max())).unsqueeze(1) < queries_B
        shown_QBSC, removed_QBO = self._draw_queries(stored_LBSC, asking_QB, generator)

        first = self.vectors + 2  # of the queries
        stored, asked = slice(1, first - 1), slice(first, None)
        steps = first + len(asking_QB)
        inputs = torch.zeros(steps, batch_size, self.input_size)
        inputs[0, :, self.bits] = inputs[first - 1, :, self.bits + 1] = 1  # the flags
        inputs[stored, :, : self.bits] = stored_LBSC.flatten(2)
        inputs[asked, :, : self.bits] = shown_QBSC.flatten(2)
        targets = torch.zeros(steps, batch_size, self.output_size)
        targets[asked] = removed_QBO
        answer_mask, refresh_mask = torch.zeros(2, steps, batch_size, dtype=torch.bool)
        answer_mask[asked] = asking_QB
        refresh_mask[stored] = True
        return Batch(
            inputs=inputs,
            targets=targets,
            lengths=first + queries_B,
            answer_mask=answer_mask,
            refresh_mask=refresh_mask,
            refresh_target=inputs[..., : self.bits] * refresh_mask.unsqueeze(-1),
            refresh_kind="binary",
            first_answer_step=first,
        )

    def _draw_vectors(self, batch_size: int, generator: torch.Generator) -> Tensor:
        """``[L, B, S, C]``; values of C bits from 1 to ``2^C - 2``, the highest bit first."""
        width = self.bits // self.segments
        values_LBS = 1 + draw_distinct(self.vectors, 2**width - 2, (batch_size, self.segments), generator)
        if self.generator == "released":
            values_LBS = values_LBS.sort(0).values
        return (values_LBS.unsqueeze(-1) >> torch.arange(width - 1, -1, -1) & 1).float()

    def _draw_queries(
        self, stored_LBSC: Tensor, asking_QB: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """What each query shows ``[Q, B, S, C]`` and asks for ``[Q, B, O]``; zeros where nothing is asked."""
        queried_QB = torch.randint(self.vectors, asking_QB.shape, generator=generator)
        vector_QBSC = stored_LBSC[queried_QB, torch.arange(asking_QB.shape[1])] * asking_QB[..., None, None]
        order_QBS = torch.rand(*asking_QB.shape, self.segments, generator=generator).argsort(-1)
        removed_QBS = order_QBS < self.segments // 2  # a permutation: exactly half of its entries
        removed_QBO = vector_QBSC[removed_QBS].view(*asking_QB.shape, self.output_size)  # ascending, as indexing goes
        return vector_QBSC.masked_fill(removed_QBS.unsqueeze(-1), 0), removed_QBO

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Sigmoid cross entropy (nats), summed over the bits."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.bit_losses(output_TBO, batch.targets).sum(-1)

    def divisor(self, batch: Batch) -> Tensor:
        """As the keyword ``loss`` of the task says."""
        return scoring.divisor(batch.answer_mask, self.output_size, self.normalisation)

    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``bit_accuracy``, ``sequence_accuracy`` and ``bit_cross_entropy``; see `scoring.bit_scores`."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.bit_scores(output_TBO, batch.targets, batch.answer_mask)

    def longer(self) -> dict[str, Task]:
        """Twice the vectors, where a segment has as many values, and twice the most queries."""
        forms = {f"queries {2 * self.max_queries}": self._resized(self.vectors, 2 * self.max_queries)}
        if 2 * self.vectors <= 2 ** (self.bits // self.segments) - 2:
            forms[f"vectors {2 * self.vectors}"] = self._resized(2 * self.vectors, self.max_queries)
        return forms

    def _resized(self, vectors: int, queries: int) -> Task:
        sizes = (self.bits, self.segments, vectors, queries, queries)
        return RepresentationRecall(*sizes, self.generator, self.normalisation)


def draw_distinct(count: int, bound: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Distinct integers ``[count, *shape]`` from 0 up to `bound`, which is excluded; every order is equally likely.

    The next one is the v-th of those still free, v uniform: its value is v and one more for each taken value that it
    passes. Nothing of the size of `bound` is made.
    """
    drawn = torch.empty(0, *shape, dtype=torch.int64)
    for taken in range(count):
        place = torch.randint(bound - taken, shape, generator=generator)
        free_below = drawn.sort(0).values - torch.arange(taken).view(-1, *[1] * len(shape))
        drawn = torch.cat([drawn, (place + (free_below <= place).sum(0)).unsqueeze(0)])
    return drawn
