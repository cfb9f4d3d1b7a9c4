"""The backward by hand is that of autograd, for each equation and for whole sequences under the eager engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.engines.kernels.comparison import random_state
from torch import Tensor

import torchmann as tm
from torchmann import functional as F
from torchmann.core.state import named_leaves
from torchmann.engines.kernels.dnc import manual_backward as manual
from torchmann.engines.kernels.dnc.manual_sequence import Sequence

B, R, N, W = 3, 2, 6, 4


def drawn(*shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, requires_grad=True)


def by_autograd(function: Callable[..., Tensor], arguments: list[Tensor]) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """The value, a random gradient of it, and the gradients of the arguments."""
    value = function(*arguments)
    gradient = torch.randn_like(value)
    return value.detach(), gradient, torch.autograd.grad(value, arguments, gradient)


def check(
    function: Callable[..., Tensor], backward: Callable[..., tuple[Tensor, ...]], *shapes: tuple[int, ...]
) -> None:
    arguments = [drawn(*shape) for shape in shapes]
    value, gradient, expected = by_autograd(function, arguments)
    plain = [argument.detach() for argument in arguments]
    torch.testing.assert_close(backward(plain, value, gradient), expected)


def test_cosine() -> None:
    check(F.cosine, lambda a, _, d: manual.cosine_backward(*a, d), (B, R, W), (B, N, W))


def test_usage() -> None:
    def used(usage: Tensor, written: Tensor, free: Tensor, read: Tensor) -> Tensor:
        return F.usage(usage, written.unsqueeze(1), F.retention(free, read))

    check(used, lambda a, _, d: manual.usage_backward(*a, d), (B, N), (B, N), (B, R), (B, R, N))


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
    check(F.softmax_allocation, lambda a, y, d: manual.softmax_allocation_backward(*a, y, d), (B, N), (B,))


def test_erase_and_add() -> None:
    def written(memory: Tensor, write: Tensor, erase: Tensor, add: Tensor) -> Tensor:
        return F.erase_and_add(memory, write.unsqueeze(1), erase.unsqueeze(1), add.unsqueeze(1))

    check(written, lambda a, _, d: manual.erase_and_add_backward(*a, d), (B, N, W), (B, N), (B, W), (B, W))


def test_precedence() -> None:
    def after(precedence: Tensor, write: Tensor) -> Tensor:
        return F.precedence(precedence.unsqueeze(1), write.unsqueeze(1))[:, 0]

    check(after, lambda a, _, d: manual.precedence_backward(*a, d), (B, N), (B, N))


def test_temporal_link() -> None:
    def linked(link: Tensor, precedence: Tensor, write: Tensor) -> Tensor:
        return F.temporal_link(link.unsqueeze(1), precedence.unsqueeze(1), write.unsqueeze(1))[:, 0]

    check(linked, lambda a, _, d: manual.temporal_link_backward(*a, d), (B, N, N), (B, N), (B, N))


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
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    state = random_state(model, B)
    state = state.unflatten({name: leaf.requires_grad_() for name, leaf in state.flatten().items()})
    x = torch.randn(7, B, 3, dtype=torch.float64, requires_grad=True)
    seen = []
    model.cell.readout.register_forward_pre_hook(lambda _, arguments: seen.append(arguments))
    model(x, state)
    outputs, reads = (torch.stack(values) for values in zip(*seen, strict=True))
    d_outputs, d_reads = torch.randn_like(outputs), torch.randn_like(reads)
    weights = {name: p for name, p in model.cell.named_parameters() if not name.startswith("readout")}
    leaves = dict(named_leaves(state))
    wanted = [x, *weights.values(), *leaves.values()]
    expected = torch.autograd.grad((outputs, reads), wanted, (d_outputs, d_reads), materialize_grads=True)

    with torch.no_grad():
        sequence = Sequence(model.cell)
        torch.testing.assert_close(sequence.forward(x, state), (outputs, reads))
        d_x, d_weights, (d_h, d_c, d_last_reads, d_memory) = sequence.backward(d_outputs, d_reads)
    found = {
        "controller.h": d_h, "controller.c": d_c, "reads": d_last_reads, "memory.memory": d_memory.memory_BNW,
        "memory.usage": d_memory.usage_BN, "memory.write_weights": d_memory.write_BN.unsqueeze(1),
        "memory.read_weights": d_memory.read_BRN,
    }  # fmt: skip
    if links:
        found |= {
            "memory.precedence": d_memory.precedence_BN.unsqueeze(1),
            "memory.link": d_memory.link_BNN.unsqueeze(1),
        }
    results = [d_x, *(d_weights[name] for name in weights), *(found[name] for name in leaves)]
    torch.testing.assert_close(tuple(results), tuple(expected), rtol=1e-9, atol=1e-11)
