"""Reading, erasing and adding, by hand and against loops."""

from __future__ import annotations

import torch
from tests.memories.slow_dnc import slow_read, slow_write

from torchmann.functional import erase_and_add, read


def test_read_is_a_weighted_sum_of_rows() -> None:
    memory, weights = torch.randn(2, 5, 3), torch.rand(2, 2, 5)
    for row in range(2):
        expected = [slow_read(memory[row].tolist(), w) for w in weights[row].tolist()]
        torch.testing.assert_close(read(memory, weights)[row], torch.tensor(expected))


def test_erase_factors_multiply_and_additions_sum() -> None:
    memory, weights = torch.randn(2, 5, 3), torch.rand(2, 3, 5)
    erase, add = torch.rand(2, 3, 3), torch.randn(2, 3, 3)
    written = erase_and_add(memory, weights, erase, add)
    for row in range(2):
        expected = slow_write(*(value[row].tolist() for value in (memory, weights, erase, add)))
        torch.testing.assert_close(written[row], torch.tensor(expected))


def test_full_erase_replaces_the_row() -> None:
    memory, word = torch.randn(1, 4, 3), torch.randn(1, 1, 3)
    slot = torch.eye(4)[2].view(1, 1, 4)
    written = erase_and_add(memory, slot, torch.ones(1, 1, 3), word)
    torch.testing.assert_close(written[0, 2], word[0, 0])
    assert torch.equal(written[0, [0, 1, 3]], memory[0, [0, 1, 3]])


def test_nothing_is_changed_in_place() -> None:
    arguments = [torch.randn(1, 4, 3), torch.rand(1, 1, 4), torch.rand(1, 1, 3), torch.randn(1, 1, 3)]
    copies = [value.clone() for value in arguments]
    erase_and_add(*arguments)
    assert all(torch.equal(value, copy) for value, copy in zip(arguments, copies, strict=True))
