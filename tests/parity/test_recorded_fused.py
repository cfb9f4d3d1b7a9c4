"""The recorded cases through the fused kernel: the outputs and the gradients of other code bases."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from torchmann.engines import fused
from torchmann.interop import SOURCES, replay, source_model
from torchmann.interop.verify import compare, read_case

GOLDENS = Path(__file__).parent.parent / "goldens"
CASES = sorted(path for path in GOLDENS.glob("*.npz") if path.stem.startswith("deepmind-dnc"))
"""Released code of DAM keeps gated read weightings, the others have another similarity: the kernel has neither."""

pytestmark = pytest.mark.skipif(bool(fused.problem_here()), reason=fused.problem_here() or "there is a kernel")


@pytest.fixture
def unrecorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replay without a recorder, so that the engine is the automatic choice; what the kernel has run, as it runs."""
    ran: list[str] = []
    through_the_kernel = fused._unroll

    def counted(cell: Any, *arguments: Any, **options: Any) -> Any:
        result = through_the_kernel(cell, *arguments, **options)
        ran.append(type(cell).__name__)
        return result

    monkeypatch.setattr(fused, "_unroll", counted)
    monkeypatch.setattr(source_model, "Recorder", lambda model, **_: nullcontext())
    for source in SOURCES.values():
        monkeypatch.setattr(source, "observed", lambda *_: {})
    return ran


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_outputs_and_gradients(path: Path, unrecorded: list[str]) -> None:
    arrays = read_case(path)
    asked = {key: value for key, value in arrays.items() if not key.startswith("state/")}
    misses = [f"{each.key}: {each.deviation:.1e}" for each in compare(asked, replay(arrays)) if not each.agrees]
    assert not misses and unrecorded == ["MemoryAugmentedCell"], (misses, unrecorded)
