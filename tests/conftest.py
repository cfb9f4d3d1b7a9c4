"""What every test shares: one thread, a seed, a cache of its own, and how hypothesis searches."""

from __future__ import annotations

import os
from typing import Any

import hypothesis
import pytest
import torch

from torchmann.data.cache import VARIABLE as CACHE

torch.set_num_threads(1)

# A search that finds something new each time is for a developer's machine; continuous integration must repeat.
hypothesis.settings.register_profile("torchmann", deadline=None, max_examples=100, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("torchmann")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What tests parse is kept for this session, and not among the files of the user."""
    os.environ.setdefault("TORCHMANN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Each test starts from the same random numbers, in whatever order tests run."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Parsed data sets go to a folder of this run of the tests, which all its processes share."""
    base = tmp_path_factory.getbasetemp()
    os.environ[CACHE] = str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache")


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The compiled engine's traced graphs run as they are, which is much sooner than compiled; here they are kept."""
    graphs: list[Any] = []

    def keep(graph: Any, arguments: list[torch.Tensor], options: Any) -> Any:
        graphs.append(graph)
        return graph

    monkeypatch.setattr("torch._inductor.compile", keep)
    monkeypatch.setattr("torchmann.engines.graphs.graph._COMPILED", {})
    return graphs
