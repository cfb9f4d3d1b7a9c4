"""Sparse access memory and the sparse DNC written again, in plain Python for one row and dense: an oracle.

All weightings have N entries and all links N x N; sparse means that the rest is set to zero. Names are those of the
papers: w_w and w_r write and read weightings, p precedence, F and P the links forward and back in time.
"""

from __future__ import annotations

from typing import Any

from tests.memories.slow_dnc import Matrix, Vector, dot, slow_content, slow_read


def keep(weights: Vector, count: int) -> Vector:
    """The `count` largest entries, of equal ones the lower first; zero elsewhere."""
    order = sorted(range(len(weights)), key=lambda slot: (-weights[slot], slot))
    return [weight if slot in order[:count] else 0.0 for slot, weight in enumerate(weights)]


def nearest(query: Vector, memory: Matrix, count: int) -> list[int]:
    """The slots with the highest cosine, which rises with the weight that a softmax gives."""
    similarity = slow_content(query, 1.0, memory)
    return sorted(range(len(memory)), key=lambda slot: (-similarity[slot], slot))[:count]


def slow_look_up(query: Vector, strength: float, memory: Matrix, count: int) -> Vector:
    """The content weighting over the nearest slots only."""
    slots = nearest(query, memory, count)
    weights = slow_content(query, strength, [memory[slot] for slot in slots])
    return [dict(zip(slots, weights, strict=True)).get(slot, 0.0) for slot in range(len(memory))]


def slow_links(
    state: dict[str, Any], written: Matrix, entries: int, rule: str
) -> tuple[Matrix, list[Matrix], list[Matrix]]:
    """Precedence and links after a write, by write head; every row keeps its largest entries."""
    slots = range(len(written[0]))
    precedence, forward, backward = [], [], []
    for w, p, F, P in zip(written, state["precedence"], state["forward"], state["backward"], strict=True):
        both = 1 if rule == "dnc" else 0
        newF = [[(1 - w[i] - both * w[j]) * F[i][j] + w[i] * p[j] if i != j else 0.0 for j in slots] for i in slots]
        newP = [[(1 - both * w[i] - w[j]) * P[i][j] + w[j] * p[i] if i != j else 0.0 for j in slots] for i in slots]
        forward.append([keep(row, entries) for row in newF])
        backward.append([keep(row, entries) for row in newP])
        precedence.append(keep([(1 - sum(w)) * p[n] + w[n] for n in slots], entries))
    return precedence, forward, backward


def slow_way(links: Matrix, read: Vector) -> Vector:
    """Where links lead from what was read, limited to a sum of one."""
    way = [dot(row, read) for row in links]
    return [weight / max(1.0, sum(way)) for weight in way]


def slow_sparse_step(
    fields: dict[str, Any], state: dict[str, Any], count: int, delta: float, entries: int = 0, rule: str = "one_factor"
) -> dict[str, Any]:
    """The state after one step, and ``reads``, from activated fields: nested lists of one row, all weightings dense."""
    M, elapsed, w_r = state["memory"], state["elapsed"], state["read_weights"]
    slots, heads = range(len(M)), range(len(fields["write_gate"]))
    share = len(w_r) // len(heads)
    oldest = sorted(slots, key=lambda slot: (-elapsed[slot], slot))
    written = []
    for head in heads:
        mine = w_r[head * share : (head + 1) * share]
        read = [sum(w[n] for w in mine) / share for n in slots]
        alpha, gamma = fields["write_gate"][head], fields["interpolation_gate"][head]
        written.append([alpha * (gamma * read[n] + (1 - gamma) * (n == oldest[head])) for n in slots])
    erased = [[0.0 if n in oldest[: len(heads)] else value for value in M[n]] for n in slots]
    M = [
        [
            erased[n][i] + sum(w[n] * a[i] for w, a in zip(written, fields["write_vector"], strict=True))
            for i in range(len(M[0]))
        ]
        for n in slots
    ]
    after: dict[str, Any] = {"memory": M}
    strengths = fields.get("read_strength", [1.0] * len(w_r))
    content = [slow_look_up(q, beta, M, count) for q, beta in zip(fields["read_query"], strengths, strict=True)]
    reading = content
    if entries:
        p, F, P = slow_links(state, written, entries, rule)
        after |= {"precedence": p, "forward": F, "backward": P}
        reading = []
        for c, modes, previous in zip(content, fields["read_mode"], w_r, strict=True):
            ways = [*(slow_way(links, previous) for links in P), c, *(slow_way(links, previous) for links in F)]
            reading.append(keep([dot(modes, [way[n] for way in ways]) for n in slots], count))
    accessed = [sum(w[n] for w in [*written, *reading]) > delta for n in slots]
    after["elapsed"] = [0 if accessed[n] else elapsed[n] + 1 for n in slots]
    return after | {"read_weights": reading, "reads": [slow_read(M, w) for w in reading]}
