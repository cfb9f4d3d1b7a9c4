"""Which slots of a `Buffer` are nearest to a query: among the rows that it holds, or by an index of them.

Shapes: B batch, R read heads, U places, W width, K slots that are chosen, A slots to choose from.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchmann.engines.sparse_buffer import Buffer
from torchmann.memories.search import FaissSearch, faiss_library, largest, unit
from torchmann.memories.sparse import SparseMemory, rows_at

FEW = 4096
"""So many rows are compared with each query in about the time that an index takes; up to there no index is made."""

PROBES = 16
"""Lists of an index that are searched, of about the square root of its rows."""


class Nearest:
    """Finds the slots that a memory's read heads take.

    Where the memory asks for ``index="exact"``, all held rows are compared with the query; for ``"faiss"`` an index of
    each batch row's memory finds candidates, from `FEW` rows on. Slots that hold the start are candidates as one.

    Args:
        memory: whose similarity it is, and whose index.
        buffer: what is searched.
    """

    def __init__(self, memory: SparseMemory, buffer: Buffer) -> None:
        self.memory, self.buffer = memory, buffer
        self.by_index = isinstance(memory.search, FaissSearch)
        self.indexes: list[RowIndex | None] = [None] * len(buffer.held)

    def changed(self, place_BC: Tensor, rows_BCW: Tensor) -> None:
        """These rows were written, to these places."""
        if any(self.indexes):
            places, units = place_BC.cpu().numpy(), _as_units(rows_BCW)
            for row, index in enumerate(self.indexes):
                if index is not None and not index.learn(places[row], units[row]):
                    self.indexes[row] = None

    def restart(self, row: int) -> None:
        """The memory of that batch row was emptied."""
        self.indexes[row] = None

    def __call__(self, query_BRW: Tensor) -> Tensor:
        """The slots nearest to each query, ``[B, R, K]``, the nearest first; of equally near ones the lower slot."""
        chosen, similarity = self.memory.nearest, self.memory.similarity
        few = max(self.buffer.held) < FEW
        near_BRA, slots_BRA = self.held(query_BRW) if few or not self.by_index else self.indexed(query_BRW, chosen)
        blank_B1K = self.buffer.blanks(chosen).unsqueeze(1)
        start_B1W = torch.full_like(query_BRW[:, :1], self.buffer.start)
        near_BRK = torch.where(blank_B1K < 0, -torch.inf, similarity(query_BRW, start_B1W))
        all_near = torch.cat([near_BRA, near_BRK], dim=-1)
        all_slots = torch.cat([slots_BRA, blank_B1K.expand(-1, slots_BRA.shape[1], -1)], dim=-1)
        positions_BRK = largest(all_near, chosen, all_slots)
        slots_BRK = all_slots.expand(*all_near.shape).gather(-1, positions_BRK)
        return slots_BRK.clamp_min(0)  # where a query is not a number, -1 may be among them

    def held(self, query_BRW: Tensor) -> tuple[Tensor, Tensor]:
        """How near all held rows are, ``[B, R, A]``, and their slots, ``[B, 1, A]``."""
        most, buffer = max(self.buffer.held), self.buffer
        near_BRA = self.memory.similarity(query_BRW, buffer.rows_BUW[:, :most])
        if min(buffer.held) < most:
            held_B1 = torch.tensor(buffer.held, device=near_BRA.device).unsqueeze(1)
            free_BA = torch.arange(most, device=near_BRA.device) >= held_B1
            near_BRA = near_BRA.masked_fill(free_BA.unsqueeze(1), -torch.inf)
        return near_BRA, buffer.slot_BU[:, None, :most]

    def indexed(self, query_BRW: Tensor, chosen: int) -> tuple[Tensor, Tensor]:
        """How near the rows that the indexes find are, ``[B, R, A]``, and their slots, ``[B, R, A]``."""
        buffer = self.buffer
        units = _as_units(query_BRW)
        places = []
        for row, held in enumerate(buffer.held):
            index = self.indexes[row]
            if index is None and held:
                index = self.indexes[row] = RowIndex(_as_units(buffer.rows_BUW[row, :held]))
            none_RK = torch.full((query_BRW.shape[1], chosen), -1)
            places.append(none_RK if index is None else index.search(units[row], chosen))
        place_BRK = torch.stack(places).to(query_BRW.device)
        rows_BRKW = rows_at(buffer.rows_BUW, place_BRK.clamp_min(0))
        each_head = (query_BRW.flatten(0, 1).unsqueeze(1), rows_BRKW.flatten(0, 1))
        near_BRK = self.memory.similarity(*each_head).view(place_BRK.shape).masked_fill(place_BRK < 0, -torch.inf)
        return near_BRK, buffer.slot_BU.gather(1, place_BRK.clamp_min(0).flatten(1)).view_as(place_BRK)


class RowIndex:
    """An index of the library faiss over the held rows of one memory: inverted lists, by cosine, in float32.

    It learns of the rows that are written; when these are as many as it was made of, its lists no longer fit.

    Args:
        units_UW: the rows, of length one.
    """

    def __init__(self, units_UW: Any) -> None:
        faiss = faiss_library()
        self.size, width = units_UW.shape
        self.learnt = 0
        lists = math.isqrt(self.size - 1) + 1
        self.index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, lists, faiss.METRIC_INNER_PRODUCT)
        self.index.nprobe = PROBES
        clustering = self.index.cp
        clustering.niter, clustering.min_points_per_centroid, clustering.max_points_per_centroid = 4, 1, 64
        self.index.train(units_UW)
        self.index.set_direct_map_type(faiss.DirectMap.Hashtable)  # so that a row is found without a search
        self.index.add_with_ids(units_UW, np.arange(self.size))

    def learn(self, places_C: Any, units_CW: Any) -> bool:
        """These rows were written, to these places, new ones or not; whether its lists still fit."""
        places_C, first_C = np.unique(places_C, return_index=True)
        self.learnt += len(places_C)
        self.index.remove_ids(places_C)
        self.index.add_with_ids(units_CW[first_C], places_C)
        return self.learnt < self.size

    def search(self, units_RW: Any, nearest: int) -> Tensor:
        """The places of the nearest rows, as far as its lists show them, ``[R, K]``; -1 where it has no more rows."""
        _, places_RK = self.index.search(units_RW, nearest)
        if (places_RK < 0).any():  # the lists that were searched hold too few
            all_lists = faiss_library().SearchParametersIVF(nprobe=self.index.nlist)
            _, places_RK = self.index.search(units_RW, nearest, params=all_lists)
        return torch.from_numpy(places_RK)


def _as_units(vectors: Tensor) -> Any:
    """The vectors ``[..., W]`` made of length one, as an array; zero for what is not a number, which breaks faiss."""
    return unit(vectors.float().cpu()).nan_to_num(0.0, 0.0, 0.0).contiguous().numpy()
