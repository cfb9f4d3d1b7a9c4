"""The backward by hand is that of autograd, for each equation and for whole sequences under the eager engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.engines.kernels.comparison import check_by_hand, check_sequence, drawn
from torch import Tensor

import torchmann as tm
from torchmann import functional as F
from torchmann.engines.kernels.dnc import manual_backward as manual
from torchmann.engines.kernels.manual import cosine_backward

B, R, N, W = 3, 2, 6, 4


def by_autograd(function: Callable[..., Tensor], arguments: list[Tensor]) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """The value, a random gradient of it, and the gradients of the arguments."""
    value = function(*arguments)
    gradient = torch.randn_like(value)
    return value.detach(), gradient, torch.autograd.grad(value, arguments, gradient)


def test_cosine() -> None:
    check_by_hand(F.cosine, lambda a, _, d: cosine_backward(*a, d), (B, R, W), (B, N, W))


def test_usage() -> None:
    def used(usage: Tensor, written: Tensor, free: Tensor, read: Tensor) -> Tensor:
        return F.usage(usage, written.unsqueeze(1), F.retention(free, read))

    check_by_hand(used, lambda a, _, d: manual.usage_backward(*a, d), (B, N), (B, N), (B, R), (B, R, N))


@pytest.mark.parametrize("floor", [0.0, 1e-6, 0.3])
def test_sorted_allocation(floor: float) -> None:
    usage = drawn(B, N)
    value, gradient, expected = by_autograd(lambda u: F.sorted_allocation(u, floor), [usage])
    assert value.shape == (B, N)
    torch.testing.assert_close((manual.sorted_allocation_backward(usage.detach(), gradient, floor),), expected)


def test_sorted_allocation_at_a_usage_of_zero() -> None:
    """There is no division by usage: all gradients at an unused slot are finite and right."""
    usage = torch.tensor([[0.0, 0.5, 0.3, 0.9]], dtype=torch.float64, requires_grad=True)
    _, gradient, expected = by_autograd(lambda u: F.sorted_allocation(u, 0.0), [usage])
    torch.testing.assert_close((manual.sorted_allocation_backward(usage.detach(), gradient, 0.0),), expected)


def test_softmax_allocation() -> None:
    check_by_hand(F.softmax_allocation, lambda a, y, d: manual.softmax_allocation_backward(*a, y, d), (B, N), (B,))


def test_erase_and_add() -> None:
    def written(memory: Tensor, write: Tensor, erase: Tensor, add: Tensor) -> Tensor:
        return F.erase_and_add(memory, write.unsqueeze(1), erase.unsqueeze(1), add.unsqueeze(1))

    check_by_hand(written, lambda a, _, d: manual.erase_and_add_backward(*a, d), (B, N, W), (B, N), (B, W), (B, W))


def test_precedence() -> None:
    def after(precedence: Tensor, write: Tensor) -> Tensor:
        return F.precedence(precedence.unsqueeze(1), write.unsqueeze(1))[:, 0]

    check_by_hand(after, lambda a, _, d: manual.precedence_backward(*a, d), (B, N), (B, N))


def test_temporal_link() -> None:
    def linked(link: Tensor, precedence: Tensor, write: Tensor) -> Tensor:
        return F.temporal_link(link.unsqueeze(1), precedence.unsqueeze(1), write.unsqueeze(1))[:, 0]

    check_by_hand(linked, lambda a, _, d: manual.temporal_link_backward(*a, d), (B, N, N), (B, N), (B, N))


def test_following_links() -> None:
    link, read = drawn(B, N, N), drawn(B, R, N)
    ahead, back = read @ link.mT, read @ link
    gradients = torch.randn_like(ahead), torch.randn_like(back)
    expected = torch.autograd.grad((ahead, back), (link, read), gradients)
    torch.testing.assert_close(manual.follow_links_backward(link.detach(), read.detach(), *gradients), expected)


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("allocation", ["sorted", "softmax"])
@pytest.mark.parametrize("usage_gradient", [True, False])
def test_whole_sequence(links: bool, allocation: str, usage_gradient: bool) -> None:
    model = tm.DNC(
        3, 5, slots=N, width=W, reads=R, links=links, allocation=allocation, usage_gradient=usage_gradient,
        clip=None, clip_controller=None, engine="eager",
    ).double()  # fmt: skip

    def leaves(d: manual.MemoryValues) -> dict[str, Tensor]:
        found = {"memory": d.memory_BNW, "usage": d.usage_BN, "read_weights": d.read_BRN}
        found["write_weights"] = d.write_BN.unsqueeze(1)
        if links:
            found |= {"precedence": d.precedence_BN.unsqueeze(1), "link": d.link_BNN.unsqueeze(1)}
        return found

    check_sequence(model, manual, leaves)
