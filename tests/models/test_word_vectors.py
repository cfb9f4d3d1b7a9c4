"""Embeddings that start from given vectors, and those that are not trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import torchmann as tm
from torchmann.core import ShapeError
from torchmann.models import SequenceModel, build

VECTORS = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


def model(vectors: torch.Tensor | None = VECTORS, *, frozen: bool = False, **options: object) -> SequenceModel:
    return build(
        "gru",
        input_kind="tokens",
        input_size=7,
        output_size=2,
        word_vectors=vectors,
        freeze_embedding=frozen,
        hidden_size=4,
        **options,
    )


def test_the_embedding_starts_from_the_vectors_and_has_their_size() -> None:
    made = model(embedding_size=64)
    assert torch.equal(made.encoder.weight, VECTORS) and made.config["embedding_size"] == 5
    assert model(dtype=torch.float64).encoder.weight.dtype == torch.float64
    with torch.no_grad():
        made.encoder.weight.zero_()
    assert VECTORS.any()  # a copy


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("vectors", [None, VECTORS])
def test_stored_and_loaded_without_the_vectors(vectors: torch.Tensor | None, frozen: bool, tmp_path: Path) -> None:
    made = model(vectors, frozen=frozen)
    tm.save(made, tmp_path / "model.safetensors")
    again = tm.load(tmp_path / "model.safetensors")
    assert torch.equal(again.encoder.weight, made.encoder.weight)
    assert again.encoder.weight.requires_grad == made.encoder.weight.requires_grad == (not frozen)
    tokens = torch.randint(7, (3, 2))
    assert torch.equal(again(tokens)[0], made(tokens)[0])


def test_a_frozen_embedding_is_not_trained() -> None:
    made = model(frozen=True)
    optimiser = torch.optim.Adam(made.parameters(), 0.1)
    made(torch.randint(7, (3, 2)))[0].square().sum().backward()
    optimiser.step()
    assert torch.equal(made.encoder.weight, VECTORS)
    assert all(parameter.grad is not None for parameter in made.body.parameters())


@pytest.mark.parametrize("vectors", [VECTORS[:6], VECTORS[0], VECTORS.unsqueeze(0)])
def test_vectors_of_another_vocabulary(vectors: torch.Tensor) -> None:
    with pytest.raises(ShapeError, match=r"word_vectors must be \[input_size, D\] = \[7, D\], got \["):
        model(vectors)
