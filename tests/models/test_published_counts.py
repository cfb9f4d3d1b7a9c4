"""The public models have the published numbers of parameters, to the unit.

Sources: "Distributed associative memory network with memory refreshing loss", tables A.1-A.3 and its released code;
"Learning to remember more with less memorization".
"""

from __future__ import annotations

from typing import Any

import pytest

import torchmann as tm
from torchmann.memories import CachedUniform
from torchmann.models import build

# In all tasks of bits a flag for input and one for output stand beside the data.
COPY: dict[str, Any] = {"input_size": 8 + 2, "output_size": 8 + 2, "hidden_size": 128, "width": 36, "slots": 64}
RECALL = COPY | {"slots": 32}  # a memory is no parameter: as many as copy
REPRESENTATION = RECALL | {"input_size": 64 + 2, "output_size": 32}  # width: 256 over all blocks
FARTHEST: dict[str, Any] = {
    "input_size": 16 + 3 * 8,  # a vector, and three labels one-hot
    "output_size": 8 + 40,  # the answer, and the input again for memory refreshing
    "hidden_size": 1024,
    "slots": 16,
    "width": 128,
    "reads": 4,
    "output_layers": [256] * 4,
}
HULL: dict[str, Any] = {
    "input_size": 2 + 21,
    "output_size": 21 + 23,  # refreshing again
    "hidden_size": 256,
    "slots": 20,
    "width": 64,
    "reads": 4,
    "output_layers": [256] * 2,
}

CASES: dict[str, tuple[type[tm.Recurrent], dict[str, Any], int]] = {
    "copy DNC": (tm.DNC, COPY, 110_858),
    "copy DAM-1": (tm.DAM, COPY | {"blocks": 1}, 110_856),
    "copy DAM-2": (tm.DAM, COPY | {"blocks": 2}, 130_206),
    "copy DAM-3": (tm.DAM, COPY | {"blocks": 3}, 149_556),
    "recall DAM-3": (tm.DAM, RECALL | {"blocks": 3}, 149_556),
    "representation DNC": (tm.DNC, REPRESENTATION | {"width": 256}, 376_360),
    "representation DAM-2": (tm.DAM, REPRESENTATION | {"blocks": 2, "width": 128}, 307_500),
    "representation DAM-4": (tm.DAM, REPRESENTATION | {"blocks": 4, "width": 64}, 274_232),
    "representation DAM-8": (tm.DAM, REPRESENTATION | {"blocks": 8, "width": 32}, 259_920),
    "Nth farthest DAM-6": (tm.DAM, FARTHEST | {"blocks": 6}, 12_667_274),
    "hull DAM-6": (tm.DAM, HULL | {"blocks": 6}, 1_471_750),
    "hull DAM-8": (tm.DAM, HULL | {"blocks": 8}, 1_709_732),
}


def count(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("case", CASES)
def test_distributed_memory(case: str) -> None:
    make, options, published = CASES[case]
    assert count(make(**options, device="meta")) == published


@pytest.mark.parametrize(
    ("blocks", "slots", "width", "published"),
    [(1, 192, 64, 802_671), (2, 128, 48, 788_318), (3, 128, 48, 878_525), (4, 128, 48, 968_732)],
)
def test_babi(blocks: int, slots: int, width: int, published: int) -> None:
    """160 words, embedded in 64 dimensions; the embedding counts."""
    options = {"hidden_size": 256, "slots": slots, "width": width, "blocks": blocks, "reads": 4}
    model = build("dam", input_kind="tokens", input_size=160, output_size=160, embedding_size=64, **options)
    assert model.encoder.weight.numel() == 160 * 64
    assert count(model) == published


@pytest.mark.parametrize("preset", ["recommended", "paper", "released"])
def test_presets_do_not_change_the_count(preset: str) -> None:
    assert count(tm.DAM(**COPY, blocks=2, preset=preset, device="meta")) == 130_206


@pytest.mark.parametrize(
    ("hidden_size", "writing", "published"), [(100, None, 98_840), (95, CachedUniform(5, attention_size=16), 96_120)]
)
def test_uniform_writing(hidden_size: int, writing: Any, published: int) -> None:
    """The preset of the released code, for ten one-hot symbols and four slots of width 64.

    Its two embedding tables, ten symbols by ten, are trainable and counted, but nothing is ever looked up in them:
    the symbols come one-hot. We have no such tables, so the published numbers are larger by theirs.
    """
    model = tm.DNC(10, hidden_size, slots=4, width=64, output_size=10, writing=writing, preset="uw", device="meta")
    dead_tables = 2 * 10 * 10
    assert count(model) + dead_tables == published
