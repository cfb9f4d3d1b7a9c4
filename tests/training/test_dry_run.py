from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from torchmann import models
from torchmann.training import Choice, Config, Settings
from torchmann.training.config import model_defaults
from torchmann.training.dry_run import GraphMemory, Part, dry_run, parts_of

SMALL = Settings(iterations=100, batch_size=4, evaluate_every=50, evaluation_batches=1, evaluation_batch_size=4)


def a_run(**settings: Any) -> Config:
    task = Choice("copy", {"min_length": 3, "max_length": 3})
    return Config(task, Choice("lstm", {"hidden_size": 8}), settings=replace(SMALL, **settings))


@pytest.mark.parametrize("name", models.names())
def test_the_parts_have_all_parameters_once(name: str) -> None:
    model = models.build(name, input_kind="tokens", input_size=6, output_size=6, **model_defaults(name))
    parts = parts_of(model)
    assert sum(part.parameters for part in parts) == sum(parameter.numel() for parameter in model.parameters())
    assert parts[0].path == "encoder" and len({part.path for part in parts}) == len(parts)
    assert all(type(model.get_submodule(part.path)).__name__ == part.kind for part in parts)


def test_a_model_without_a_cell_has_parts_too() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    assert parts_of(model) == [Part("0", "Linear", 16), Part("2", "Linear", 10)]


def test_the_graph_is_measured_while_it_lives() -> None:
    weight = nn.Parameter(torch.ones(100, 100))
    x = torch.ones(100, 100, requires_grad=True)
    graph = GraphMemory([weight])
    with graph:
        for _ in range(3):
            (x @ weight).exp().sum().backward()  # keeps x and the exponential; the weight is there anyway
            assert graph.most == 2 * x.nbytes
        y = x.exp().exp().exp()
        assert graph.most == 3 * x.nbytes
        del y


def test_a_dry_run_estimates_a_run() -> None:
    found = dry_run(a_run())
    assert found.steps == (8, 8.0, 8) and found.batch["inputs"] == ((8, 4, 8), torch.float32)
    assert found.training == pytest.approx(100 * found.iteration) and found.iteration > 0
    assert found.seconds == found.training + found.evaluations + found.last
    assert found.most_bytes["optimiser"] >= 2 * found.most_bytes["gradients"] == 2 * found.most_bytes["weights"]


def test_limits_and_chunks_count() -> None:
    assert dry_run(a_run(max_seconds=1e-3)).training <= 1e-3
    whole, chunked = (dry_run(a_run(truncate=steps)).most_bytes["kept for the backward pass"] for steps in (None, 2))
    assert 0 < chunked < whole / 2
