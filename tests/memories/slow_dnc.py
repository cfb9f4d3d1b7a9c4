"""The DNC's memory written again, in plain Python for one row, straight from the equations: an oracle.

Names are those of the paper: u usage, M memory, L link, p precedence, ww and wr write and read weightings.
"""

from __future__ import annotations

import math
from typing import Any

Vector = list[float]
Matrix = list[Vector]


def slow_allocation(usages: Vector, floor: float) -> Vector:
    """Slot by slot from the least used on; among equals the lower slot first."""
    squeezed = [floor + (1 - floor) * value for value in usages]
    allocation, still_free = [0.0] * len(squeezed), 1.0
    for slot in sorted(range(len(squeezed)), key=lambda slot: (squeezed[slot], slot)):
        allocation[slot] = (1 - squeezed[slot]) * still_free
        still_free *= squeezed[slot]
    return allocation


def slow_softmax_allocation(usages: Vector, strength: float) -> Vector:
    """The softmax of strength times non-usage."""
    scores = [math.exp(strength * (1 - value)) for value in usages]
    return [score / sum(scores) for score in scores]


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def slow_content(key: Vector, strength: float, memory: Matrix, epsilon: float = 1e-6) -> Vector:
    """The softmax over slots of strength times cosine."""

    def norm(vector: Vector) -> float:
        return math.sqrt(dot(vector, vector) + epsilon)

    scores = [math.exp(strength * dot(key, row) / (norm(key) * norm(row) + epsilon)) for row in memory]
    return [score / sum(scores) for score in scores]


def slow_write(memory: Matrix, weights: Matrix, erase: Matrix, add: Matrix) -> Matrix:
    """Erase factors of the heads multiply, additions sum."""
    written = [list(row) for row in memory]
    for n, row in enumerate(memory):
        for word in range(len(row)):
            for w, e in zip(weights, erase, strict=True):
                written[n][word] *= 1 - w[n] * e[word]
            written[n][word] += sum(w[n] * a[word] for w, a in zip(weights, add, strict=True))
    return written


def slow_read(memory: Matrix, weights: Vector) -> Vector:
    return [dot(weights, [row[word] for row in memory]) for word in range(len(memory[0]))]


def slow_step(fields: dict[str, Any], state: dict[str, Any], floor: float = 1e-6) -> dict[str, Any]:
    """The state after one step, and ``reads``, from activated fields: all of them nested lists of one row."""
    heads, slots = range(len(fields["write_gate"])), range(len(state["usage"]))
    M, wr, ww = state["memory"], state["read_weights"], state["write_weights"]
    psi = [math.prod(1 - f * w[n] for f, w in zip(fields["free_gate"], wr, strict=True)) for n in slots]
    before = [1 - math.prod(1 - w[n] for w in ww) for n in slots]
    u = [(state["usage"][n] + before[n] - state["usage"][n] * before[n]) * psi[n] for n in slots]

    simulated, written = u, []
    for j in heads:
        if "allocation_strength" in fields:
            a = slow_softmax_allocation(simulated, fields["allocation_strength"][j])
        else:
            a = slow_allocation(simulated, floor)
        c = slow_content(fields["write_key"][j], fields["write_strength"][j], M)
        ga, gw = fields["allocation_gate"][j], fields["write_gate"][j]
        written.append([gw * (ga * a[n] + (1 - ga) * c[n]) for n in slots])
        simulated = [simulated[n] + (1 - simulated[n]) * ga * gw * a[n] for n in slots]
    M = slow_write(M, written, fields["erase"], fields["write_vector"])

    link, precedence = [], []
    for w, L, p in zip(written, state["link"], state["precedence"], strict=True):
        rows = [[(1 - w[i] - w[j]) * L[i][j] + w[i] * p[j] if i != j else 0.0 for j in slots] for i in slots]
        link.append(rows)
        precedence.append([(1 - sum(w)) * p[n] + w[n] for n in slots])

    read_weights = []
    for key, strength, modes, w in zip(
        fields["read_key"], fields["read_strength"], fields["read_mode"], wr, strict=True
    ):
        backward = [[dot([L[i][n] for i in slots], w) for n in slots] for L in link]
        forward = [[dot(L[n], w) for n in slots] for L in link]
        ways = [*backward, slow_content(key, strength, M), *forward]
        read_weights.append([dot(modes, [way[n] for way in ways]) for n in slots])
    return {
        "memory": M,
        "usage": u,
        "write_weights": written,
        "read_weights": read_weights,
        "precedence": precedence,
        "link": link,
        "reads": [slow_read(M, w) for w in read_weights],
    }
