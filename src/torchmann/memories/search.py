"""Which slots are nearest to a query: a choice, through which no gradient flows.

Shapes: B batch, R read heads, N slots, W width, K slots that are chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, unknown_name

Index = Literal["exact", "faiss"]
"""How the nearest slots are found."""

Metric = Literal["cosine", "euclidean"]
"""What near means."""

Similarity = Callable[[Tensor, Tensor], Tensor]
"""``(query_BRW, memory_BNW) -> [B, R, N]``, higher is nearer."""


class Search(Protocol):
    """Finds the `nearest` slots of each query."""

    def __call__(self, query_BRW: Tensor, memory_BNW: Tensor, nearest: int) -> Tensor:
        """The numbers of the slots, ``[B, R, K]`` int64, the nearest first, each once for a query."""


def largest(values: Tensor, chosen: int, labels: Tensor | None = None) -> Tensor:
    """Positions ``[..., K]`` of the largest of ``values [..., N]``, in order; of equal ones the lower label is first.

    `torch.topk` promises nothing about equals, and in a memory that is still empty all slots are equal. A stable sort
    of all N would be several times slower.

    Args:
        values: on the last axis; no gradient flows.
        chosen: K.
        labels: ``[..., N]`` int64 from 0 to 2^40, different where values may be equal; None: the positions themselves.
    """
    values = values.detach()
    last = values.topk(chosen).values[..., -1:]
    rank = (values > last).long() + (values >= last)  # 2: chosen; 1: chosen while there is room; 0: not chosen
    if labels is None:
        labels = torch.arange(values.shape[-1], device=values.device)
    positions = (rank * 2**40 - labels).topk(chosen).indices
    return positions.gather(-1, values.gather(-1, positions).sort(dim=-1, descending=True, stable=True).indices)


class ExactSearch:
    """Compares each query with every slot.

    Args:
        similarity: of queries and slots.
    """

    def __init__(self, similarity: Similarity) -> None:
        self.similarity = similarity

    def __call__(self, query_BRW: Tensor, memory_BNW: Tensor, nearest: int) -> Tensor:
        """As `Search`; equally near slots in the order of their numbers."""
        return largest(self.similarity(query_BRW.detach(), memory_BNW.detach()), nearest)


class FaissSearch:
    """Leaves the comparison to the library faiss, on the CPU and in float32.

    A step is pure, so there is no index that lives from step to step and learns of each write: the memory is searched
    as it is, and exactly. The order of equally near slots is faiss's own.

    Args:
        metric: ``"cosine"`` or ``"euclidean"``.

    Raises:
        OptionError: faiss is not installed.
    """

    def __init__(self, metric: Metric = "cosine") -> None:
        self.metric = metric
        faiss_library()

    def __call__(self, query_BRW: Tensor, memory_BNW: Tensor, nearest: int) -> Tensor:
        """As `Search`."""
        query_BRW, memory_BNW = query_BRW.detach(), memory_BNW.detach()
        if self.metric == "euclidean":
            return nearest_by_faiss(query_BRW, memory_BNW, nearest, True)
        return nearest_by_faiss(unit(query_BRW), unit(memory_BNW), nearest, False)


@torch.library.custom_op("torchmann::nearest_by_faiss", mutates_args=())
def nearest_by_faiss(query: Tensor, memory: Tensor, nearest: int, by_distance: bool) -> Tensor:
    """Which rows of ``memory [..., N, W]`` are nearest to ``query [..., R, W]``, by distance or by inner product.

    Returns their numbers, ``[..., R, K]``. An operator of its own, so that what cannot be traced can still be compiled,
    exported and mapped.
    """
    faiss = faiss_library()
    found = torch.empty(*query.shape[:-1], nearest, dtype=torch.int64)
    queries, memories = query.float().cpu().flatten(0, -3), memory.float().cpu().flatten(0, -3)
    for query_RW, memory_NW, found_RK in zip(queries, memories, found.flatten(0, -3), strict=True):
        rows = (query_RW.contiguous().numpy(), memory_NW.contiguous().numpy())
        _, slots = faiss.knn(*rows, nearest, metric=faiss.METRIC_L2 if by_distance else faiss.METRIC_INNER_PRODUCT)
        found_RK.copy_(torch.from_numpy(slots))
    return found.to(query.device)


@nearest_by_faiss.register_fake
def _(query: Tensor, memory: Tensor, nearest: int, by_distance: bool) -> Tensor:
    return query.new_empty(*query.shape[:-1], nearest, dtype=torch.int64)


@nearest_by_faiss.register_vmap
def _(
    info: Any, axes: tuple[int | None, ...], query: Tensor, memory: Tensor, nearest: int, by_distance: bool
) -> tuple[Tensor, int]:
    def in_front(value: Tensor, axis: int | None) -> Tensor:
        return value.expand(info.batch_size, *value.shape) if axis is None else value.movedim(axis, 0)

    return nearest_by_faiss(in_front(query, axes[0]), in_front(memory, axes[1]), nearest, by_distance), 0


def faiss_library() -> Any:
    """The module faiss.

    Raises:
        OptionError: it is not installed.
    """
    try:
        return import_module("faiss")
    except ImportError:
        raise OptionError("index='faiss' needs the library faiss: pip install torchmann[faiss].") from None


def unit(vectors: Tensor) -> Tensor:
    """Vectors ``[..., W]`` of length one; a zero stays zero."""
    return vectors * (vectors.square().sum(-1, keepdim=True) + 1e-6).rsqrt()


def nearness(query_BRW: Tensor, memory_BNW: Tensor) -> Tensor:
    """``q . m - |m|^2 / 2``, ``[B, R, N]``: the higher, the smaller the Euclidean distance."""
    return query_BRW @ memory_BNW.mT - memory_BNW.square().sum(-1).unsqueeze(1) / 2


def search_named(index: Index, metric: Metric, similarity: Similarity) -> Search:
    """The search of that name: by Euclidean distance, or by the cosine, for which the exact search takes `similarity`.

    Raises:
        OptionError: no such index, or faiss is not installed.
    """
    if index == "exact":
        return ExactSearch(nearness if metric == "euclidean" else similarity)
    if index == "faiss":
        return FaissSearch(metric)
    raise unknown_name("index", index, ("exact", "faiss"))
