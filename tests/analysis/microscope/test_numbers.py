"""Numbers survive the packing up to its rounding."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from torchmann.analysis.microscope.numbers import Numbers


def unpacked(text: str, reference: dict[str, Any]) -> np.ndarray:
    """As the page reads an array: its codes, of which the highest is "nothing"."""
    content = zlib.decompress(base64.b64decode(text))
    kind = np.dtype("<u1" if reference["bits"] == 8 else "<u2")
    codes = np.frombuffer(content, kind, int(np.prod(reference["shape"])), reference["at"]).reshape(reference["shape"])
    highest = 2 ** reference["bits"] - 1
    values = reference["low"] + codes / (highest - 1) * (reference["high"] - reference["low"])
    return np.where(codes == highest, np.nan, values)


@given(
    st.lists(st.floats(-3, 5, width=32), min_size=1, max_size=9),
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=9),
)
def test_arrays_come_back_from_one_text(wide: list[float], shares: list[float]) -> None:
    numbers = Numbers()
    first = numbers.add(np.array([shares]), (0.0, 1.0), bits=8)
    second = numbers.add(np.array(wide), (-3.0, 5.0), bits=16)
    text = numbers.text()
    np.testing.assert_allclose(unpacked(text, first), [shares], atol=0.5 / 254 + 1e-9)
    np.testing.assert_allclose(unpacked(text, second), wide, atol=8 / 65534)


def test_limits_are_met_exactly_and_nothing_stays_nothing() -> None:
    numbers = Numbers()
    reference = numbers.add(np.array([0.0, np.nan, 7.0, np.inf, 99.0]), (0.0, 7.0), bits=8)
    np.testing.assert_array_equal(unpacked(numbers.text(), reference), [0, np.nan, 7, np.nan, 7])


def test_sixteen_bits_start_at_even_places() -> None:
    numbers = Numbers()
    numbers.add(np.zeros(3), (0.0, 1.0), bits=8)
    assert numbers.add(np.zeros(1), (0.0, 1.0), bits=16)["at"] == 4
