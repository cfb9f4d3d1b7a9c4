"""Sentences as vectors: the position mask, padding, and models of the registry that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import torchmann as tm
from torchmann.core import OptionError, ShapeError
from torchmann.models import SentenceEncoder, build
from torchmann.models.sentence_encoder import SentenceStart

SIZES = {"input_kind": "sentences", "input_size": 9, "output_size": 4, "sentence_length": 3, "embedding_size": 5}


def encoder(start: SentenceStart = "sum", length: int = 3, **options: Any) -> SentenceEncoder:
    return SentenceEncoder(nn.Embedding(9, 5, **options), length, start)


def slow(model: SentenceEncoder, words_TBL: Tensor) -> Tensor:
    steps, rows, length = words_TBL.shape
    found = torch.zeros(steps, rows, 5, dtype=model.mask_LD.dtype)
    for t in range(steps):
        for b in range(rows):
            for j in range(length):
                word = int(words_TBL[t, b, j])
                if word:
                    found[t, b] += model.embedding.weight[word] * model.mask_LD[j]
    return found


@settings(max_examples=25)
@given(steps=st.integers(0, 4), rows=st.integers(0, 3), length=st.integers(1, 4), seed=st.integers(0, 9))
def test_a_sentence_is_the_sum_of_its_words_each_times_its_position(
    steps: int, rows: int, length: int, seed: int
) -> None:
    torch.manual_seed(seed)
    model = encoder(length=length, dtype=torch.float64)
    nn.init.normal_(model.mask_LD)
    words = torch.randint(9, (steps, rows, length))
    torch.testing.assert_close(model(words), slow(model, words))


@pytest.mark.parametrize(("start", "share"), [("sum", 1.0), ("mean", 1 / 3)])
def test_starts_as_sum_or_mean(start: SentenceStart, share: float) -> None:
    model = encoder(start)
    assert model.mask_LD.shape == (3, 5) and (model.mask_LD == share).all() and model.mask_LD.requires_grad
    words = torch.tensor([[[4, 7, 4]]])
    wanted = share * (2 * model.embedding.weight[4] + model.embedding.weight[7])
    torch.testing.assert_close(model(words)[0, 0], wanted)


def test_padding_is_nothing_and_learns_nothing() -> None:
    model = encoder()
    words = torch.tensor([[[2, 0, 0], [0, 0, 0]]])
    output = model(words)
    assert not output[0, 1].any()
    output.sum().backward()
    mask, embedding = model.mask_LD.grad, model.embedding.weight.grad
    assert mask is not None and embedding is not None
    assert not mask[1:].any() and mask[0].any() and not embedding[0].any()


def test_the_gradient_is_right() -> None:
    model = encoder(dtype=torch.float64)
    words = torch.tensor([[[2, 5, 0], [1, 1, 8]]])

    def run(mask: Tensor, weight: Tensor) -> Tensor:
        parameters = {"mask_LD": mask, "embedding.weight": weight}
        return torch.func.functional_call(model, parameters, (words,))

    mask = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(9, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (mask, weight))


@pytest.mark.parametrize(
    "words", [torch.zeros(2, 1, 4, dtype=torch.int64), torch.zeros(2, 1, 3), torch.zeros(2, dtype=torch.int64)]
)
def test_other_inputs_are_refused(words: Tensor) -> None:
    with pytest.raises(ShapeError, match=r"inputs must be sentences \[T, B, L\] of word numbers .* L = 3"):
        encoder()(words)


def test_bad_options() -> None:
    with pytest.raises(OptionError, match="unknown start of the sentence encoder 'summ': did you mean 'sum'"):
        encoder("summ")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="sentence_length must be an integer of at least 1"):
        encoder(length=0)
    with pytest.raises(OptionError, match="input_kind='sentences' needs sentence_length"):
        build("lstm", **{**SIZES, "sentence_length": None}, hidden_size=4)  # type: ignore[arg-type]


def small(name: str, **options: Any) -> tm.SequenceModel:
    sizes = {} if name == "lstm" else {"slots": 4, "width": 3}
    return build(name, **SIZES, hidden_size=6, **sizes, **options)


@pytest.mark.parametrize("name", ["lstm", "dnc", "ntm"])
def test_a_model_of_the_registry_reads_sentences_and_comes_back_from_a_file(name: str, tmp_path: Path) -> None:
    model = small(name, sentence_start="mean")
    words = torch.randint(9, (5, 2, 3))
    output, _ = model(words, lengths=[5, 3])
    body_output, _ = model.body(slow(model.encoder, words), lengths=[5, 3])
    torch.testing.assert_close(output, model.head(body_output))
    tm.save(model, tmp_path / "model")
    loaded = tm.load(tmp_path / "model")
    assert torch.equal(loaded(words, lengths=[5, 3])[0], output)
    assert loaded.config == model.config and loaded.config["sentence_start"] == "mean"


def test_word_vectors_and_a_frozen_embedding_leave_the_positions_to_be_learned() -> None:
    vectors = torch.randn(9, 7)
    model = small("lstm", word_vectors=vectors, freeze_embedding=True)
    assert torch.equal(model.encoder.embedding.weight, vectors) and model.encoder.mask_LD.shape == (3, 7)
    assert not model.encoder.embedding.weight.requires_grad and model.encoder.mask_LD.requires_grad


def test_double_precision_compilation_and_export() -> None:
    assert small("lstm", dtype=torch.float64)(torch.ones(2, 1, 3, dtype=torch.int64))[0].dtype == torch.float64
    model, words = encoder(), torch.randint(9, (4, 2, 3))
    exported = torch.export.export(
        model, (words,), dynamic_shapes=({0: torch.export.Dim("T"), 1: torch.export.Dim("B")},)
    )
    torch.testing.assert_close(exported.module()(words.repeat(2, 3, 1)), model(words.repeat(2, 3, 1)))
    rows = torch.func.vmap(model)(words.transpose(0, 1).unsqueeze(2))
    torch.testing.assert_close(rows.squeeze(2).transpose(0, 1), model(words))
