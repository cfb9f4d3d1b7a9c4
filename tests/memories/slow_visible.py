"""The visible-row form of sparse access memory written again, in plain Python for one row: an oracle."""

from __future__ import annotations

import math
from typing import Any

from tests.memories.slow_dnc import Matrix, Vector, dot, slow_content, slow_read


def first_nearest(query: Vector, memory: Matrix, count: int) -> list[int]:
    """The slots at the smallest Euclidean distance."""
    distance = [math.dist(query, row) for row in memory]
    return sorted(range(len(memory)), key=lambda slot: (distance[slot], slot))[:count]


def strongest(way: Vector, count: int) -> list[int]:
    return sorted(range(len(way)), key=lambda slot: (-way[slot], slot))[:count]


def slow_links(state: dict[str, Any], write: Vector, temporal: list[int]) -> dict[str, Any]:
    """Links and precedence after a write; column j belongs to the slot ``temporal[j]``."""
    N, L = range(len(write)), range(len(temporal))
    p, F, P, r = (state[name] for name in ("precedence", "forward", "backward", "read_weights"))
    everywhere = [0.0] * len(write)
    for j in L:
        everywhere[temporal[j]] = p[j]
    total = sum(r[temporal[j]] for j in L)
    return {
        "forward": [[((1 - write[i]) * F[i][j] + write[i] * p[j]) * (i != j) for j in L] for i in N],
        "backward": [
            [((1 - write[temporal[j]]) * P[i][j] + write[temporal[j]] * everywhere[i]) * (i != j) for j in L] for i in N
        ],
        "precedence": [(1 - total) * p[j] + r[temporal[j]] for j in L],
    }


def slow_visible_step(
    fields: dict[str, Any], state: dict[str, Any], positions: list[int], nearest: int, delta: float, entries: int
) -> dict[str, Any]:
    """The state after one step and ``reads``; the slots that are visible after it come in groups."""
    M, usage, write = [list(row) for row in state["memory"]], list(state["usage"]), list(state["write_weights"])
    now, R = state["steps"] + 1, len(fields["read_query"])
    least = min(usage[slot] for slot in positions)
    old = {slot: list(M[slot]) for slot in positions}
    for column, slot in enumerate(positions):  # in order, so that the last of equal positions stays
        read = state["read_weights"][slot] + (1 if now == 1 else 0)
        indicator = 1.0 if state["usage"][slot] == least else 0.0
        if read + state["write_weights"][slot] > delta:
            usage[slot] = now - state["usage"][slot]
        gate = fields["interpolation_gate"][column]
        weight = fields["write_gate"][0] * (gate * read + (1 - gate) * indicator)
        write[slot] = weight
        vector = fields["write_vector"][0]
        M[slot] = [value * (1 - indicator) + weight * word for value, word in zip(old[slot], vector, strict=True)]
    after: dict[str, Any] = {"memory": M, "usage": usage, "write_weights": write, "steps": now}
    found = [first_nearest(query, M, nearest) for query in fields["read_query"]]
    if entries:
        temporal = positions[R * nearest : R * nearest + 2 * entries]
        after |= slow_links(state, write, temporal)
        r = [state["read_weights"][slot] for slot in temporal]
        found += [strongest([dot(row, r) for row in after[name]], entries) for name in ("forward", "backward")]
    after["found"] = [*found, [min(range(len(usage)), key=lambda slot: (usage[slot], slot))]]
    return after


def slow_visible_read(fields: dict[str, Any], memory: Matrix, positions: list[int]) -> dict[str, Any]:
    """What the heads read of the visible rows, and the product of their weights, at each slot."""
    rows = [memory[slot] for slot in positions]
    strengths = fields.get("read_strength", [1.0] * len(fields["read_query"]))
    heads = [slow_content(query, beta, rows) for query, beta in zip(fields["read_query"], strengths, strict=True)]
    weights = [0.0] * len(memory)
    for column, slot in enumerate(positions):
        weights[slot] = math.prod(head[column] for head in heads)
    return {"read_weights": weights, "reads": [slow_read(rows, head) for head in heads]}
