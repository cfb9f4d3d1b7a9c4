"""What is known of recorded names: their titles, their axes, where they stand. The rest goes by shape."""

from __future__ import annotations

from typing import NamedTuple

TASK, USE, CONTENTS, GATES, VECTORS, CONTROLLER, MORE = (
    "task",
    "use",
    "contents",
    "gates",
    "vectors",
    "controller",
    "more",
)
"""The groups of panels."""


class Known(NamedTuple):
    """How a recorded value is shown.

    Attributes:
        title: of its panel.
        group: where it stands.
        axes: the names of what lies behind time, as far as no block or level comes before.
        hint: what it is, in a few words.
    """

    title: str
    group: str
    axes: tuple[str, ...]
    hint: str


KNOWN = {
    "inputs": Known("inputs", TASK, ("channel",), "what the model is shown"),
    "targets": Known("targets", TASK, ("channel",), "what it should answer"),
    "outputs": Known("outputs", TASK, ("channel",), "what it answers; a wrong bit is crossed out"),
    "certainty": Known("certainty", TASK, (), "the probability of the right word"),
    "reproduced": Known("reproduced", TASK, ("channel",), "the input as it is given back; a wrong bit is crossed out"),
    "write_weights": Known("write weights", USE, ("head", "slot"), "where each head writes"),
    "read_weights": Known("read weights", USE, ("head", "slot"), "where each head reads"),
    "usage": Known("usage", USE, ("slot",), "how far each slot is taken: 0 free, 1 in use"),
    "attentive_gate": Known(
        "attentive gate", USE, ("each block", "head"), "how much of the reads comes from each block"
    ),
    "allocation": Known("allocation", USE, ("head", "slot"), "the free slot that writing may take"),
    "precedence": Known("precedence", USE, ("head", "slot"), "how far each slot was the last one written"),
    "elapsed": Known("steps since use", USE, ("slot",), "how long each slot has not been used"),
    "filled": Known("slots filled", USE, (), "how many slots have been written"),
    "memory": Known("memory", CONTENTS, ("slot", "place"), "what each slot holds"),
    "link": Known(
        "temporal link", CONTENTS, ("head", "slot", "slot"), "row: written right after the slot of the column"
    ),
    "write_gate": Known(
        "write gate",
        GATES,
        ("head",),
        "of a DNC: whether to write; of an NTM: by content (1) or from the last place (0)",
    ),
    "allocation_gate": Known("allocation gate", GATES, ("head",), "write to a free slot (1) or by content (0)"),
    "free_gate": Known("free gate", GATES, ("head",), "whether what was read last may be overwritten"),
    "read_mode": Known("read mode", GATES, ("head", "mode"), "how to find what to read"),
    "write_strength": Known("write strength", GATES, ("head",), "sharpness of the look-up by content"),
    "read_strength": Known("read strength", GATES, ("head",), "sharpness of the look-up by content"),
    "allocation_strength": Known("allocation strength", GATES, ("head",), "sharpness of the choice of a free slot"),
    "interpolation_gate": Known(
        "interpolation gate", GATES, ("head",), "write to what was read (1) or to the oldest slot (0)"
    ),
    "attention": Known("attention", GATES, ("head", "row", "row"), "what each row looks at; the last one is the input"),
    "input_gate": Known("input gate", GATES, ("slot", "place"), "how much of what is new comes in"),
    "forget_gate": Known("forget gate", GATES, ("slot", "place"), "how much of what was there stays"),
    "read_gate": Known("read gate", GATES, ("head",), "by content (1) or from the last place (0)"),
    "read_shift": Known("read shift", GATES, ("head", "shift"), "how far to walk on"),
    "read_gamma": Known("read sharpening", GATES, ("head",), "exponent of the weighting"),
    "write_shift": Known("write shift", GATES, ("head", "shift"), "how far to walk on"),
    "write_gamma": Known("write sharpening", GATES, ("head",), "exponent of the weighting"),
    "erase": Known("erase vector", VECTORS, ("head", "place"), "what is wiped out of the slot written to"),
    "write_erase": Known("erase vector", VECTORS, ("head", "place"), "what is wiped out of the slot written to"),
    "write_vector": Known("write vector", VECTORS, ("head", "place"), "what is written"),
    "write_add": Known("write vector", VECTORS, ("head", "place"), "what is written"),
    "write_key": Known("write key", VECTORS, ("head", "place"), "what the write head looks up"),
    "read_key": Known("read key", VECTORS, ("head", "place"), "what the read head looks up"),
    "read_query": Known("read query", VECTORS, ("head", "place"), "what the read head looks up"),
    "reads": Known("read vectors", VECTORS, ("place",), "what was read, all heads in a row"),
    "h": Known("hidden state", CONTROLLER, ("unit",), "what the controller passes on"),
    "c": Known("cell state", CONTROLLER, ("unit",), "what the controller keeps to itself"),
    "controller_output": Known("output", CONTROLLER, ("unit",), "what the controller gives"),
    "content_weights": Known("content weights", MORE, ("head", "slot"), "the read head's look-up alone"),
    "forward_weights": Known(
        "forward weights", MORE, ("head", "write head", "slot"), "what was written after the last read"
    ),
    "backward_weights": Known("backward weights", MORE, ("head", "write head", "slot"), "what was written before it"),
}
"""By the last part of the name, without the number of one of many, in the order in which panels stand."""


def mode_labels(modes: int) -> list[str]:
    """The names of a read head's modes: content in the middle, a backward and a forward one for each write head."""
    writes = modes // 2
    ways = [
        [f"{way} {head}" if writes > 1 else way for head in range(1, writes + 1)] for way in ("backward", "forward")
    ]
    return [*ways[0], "content", *ways[1]]


def shift_labels(shifts: int) -> list[str]:
    """The distances of a shift, from the lowest."""
    return [f"{distance:+d}" if distance else "0" for distance in range(-(shifts // 2), shifts - shifts // 2)]
