"""Temporal links against loops, and a chain of writes that they can follow both ways."""

from __future__ import annotations

from itertools import pairwise

import torch

from torchmann.functional import backward_weighting, forward_weighting, precedence, temporal_link


def test_link_is_the_papers_equation() -> None:
    link, last, write = torch.rand(2, 2, 4, 4), torch.rand(2, 2, 4), torch.rand(2, 2, 4)
    updated = temporal_link(link, last, write)
    for row in range(2):
        for head in range(2):
            w, p = write[row, head], last[row, head]
            for i in range(4):
                for j in range(4):
                    expected = (1 - w[i] - w[j]) * link[row, head, i, j] + w[i] * p[j] if i != j else torch.tensor(0.0)
                    torch.testing.assert_close(updated[row, head, i, j], expected)


def test_precedence_by_hand() -> None:
    last, write = torch.tensor([[[0.5, 0.5, 0.0]]]), torch.tensor([[[0.0, 0.2, 0.6]]])
    torch.testing.assert_close(precedence(last, write), torch.tensor([[[0.1, 0.3, 0.6]]]))


def test_links_follow_the_order_of_writing() -> None:
    order, slots = [2, 0, 3, 1], 5
    link, last = torch.zeros(1, 1, slots, slots), torch.zeros(1, 1, slots)
    slot = torch.eye(slots).view(slots, 1, 1, slots)
    for written in order:
        link, last = temporal_link(link, last, slot[written]), precedence(last, slot[written])
    for older, newer in pairwise(order):
        assert torch.equal(forward_weighting(link, slot[older])[0], slot[newer])
        assert torch.equal(backward_weighting(link, slot[newer])[0], slot[older])
    assert not forward_weighting(link, slot[order[-1]]).any(), "nothing was written after the last"


def test_each_read_head_follows_each_write_heads_links() -> None:
    link, reads = torch.rand(2, 3, 4, 4), torch.rand(2, 2, 4)
    forward, backward = forward_weighting(link, reads), backward_weighting(link, reads)
    assert forward.shape == backward.shape == (2, 2, 3, 4)
    torch.testing.assert_close(forward, torch.einsum("bvij,brj->brvi", link, reads))
    torch.testing.assert_close(backward, torch.einsum("bvji,brj->brvi", link, reads))
