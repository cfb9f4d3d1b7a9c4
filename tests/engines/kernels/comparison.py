"""The fused engine beside the eager one: everything that a call gives, and every gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.core.state import named_leaves
from torchmann.engines import fused
from torchmann.engines.kernels.manual_sequence import Sequence

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}


needs_kernel = pytest.mark.skipif(bool(fused.problem_here()), reason=fused.problem_here() or "there is one")


def random_state(model: tm.Recurrent, batch_size: int) -> Any:
    """A state in which no two slots are alike: with ties, rounding decides which slot is taken."""
    state = model.initial_state(batch_size)

    def drawn(name: str, like: Tensor) -> Tensor:
        if not like.is_floating_point():  # slots that hold an entry
            return torch.arange(batch_size) * 2 % (model.cell.memory.slots + 1)
        if name.endswith((".h", ".c", ".memory", "reads")):
            return 0.5 * torch.randn_like(like)
        if name.endswith("usage"):
            return torch.rand_like(like)
        value = torch.rand_like(like) / like.shape[-1]
        return value * (1 - torch.eye(like.shape[-1], dtype=like.dtype)) if name.endswith("link") else value

    return state.unflatten({name: drawn(name, leaf.detach()) for name, leaf in state.flatten().items()})


def everything(model: tm.Recurrent, engine: str, x: Tensor, state: Any, **options: Any) -> dict[str, Tensor]:
    """Outputs, final state, and the gradients of a loss on both: of the input, the state and every parameter."""
    model.engine = engine
    model.zero_grad()
    x = x.clone().requires_grad_()
    if state is not None:
        leaves = {name: leaf.clone() for name, leaf in state.flatten().items()}
        state = state.unflatten({name: leaf.requires_grad_(leaf.is_floating_point()) for name, leaf in leaves.items()})
    output, final = model(x, state, **options)
    generator = torch.Generator().manual_seed(1)
    results = {"output": output, **{f"final {name}": leaf for name, leaf in named_leaves(final)}}
    loss = sum(
        (value * torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)).sum()
        for value in results.values()
        if value.is_floating_point()
    )
    assert isinstance(loss, Tensor)
    loss.backward()
    gradients = {"x": x.grad, **{name: parameter.grad for name, parameter in model.named_parameters()}}
    if state is not None:
        gradients |= {f"state {name}": leaf.grad for name, leaf in named_leaves(state)}
    return results | {f"gradient of {name}": value for name, value in gradients.items() if value is not None}


def assert_parity(model: tm.Recurrent, x: Tensor, state: Any, **options: Any) -> None:
    """The fused engine gives what the eager one gives."""
    fused, eager = everything(model, "fused", x, state, **options), everything(model, "eager", x, state, **options)
    tolerance = TOLERANCE[x.dtype]
    for name in fused.keys() | eager.keys():
        # what one engine does not reach has a gradient of zero under the other
        ours = fused[name] if name in fused else torch.zeros_like(eager[name])
        theirs = eager[name] if name in eager else torch.zeros_like(fused[name])
        scale = max(1.0, float(theirs.abs().max())) if theirs.numel() else 1.0
        torch.testing.assert_close(
            ours, theirs, rtol=tolerance, atol=tolerance * scale, msg=lambda text, name=name: f"{name}: {text}"
        )


def drawn(*shape: int) -> Tensor:
    """Numbers in (0, 1) that want a gradient."""
    return torch.rand(shape, dtype=torch.float64, requires_grad=True)


def check_by_hand(
    function: Callable[..., Any], backward: Callable[..., tuple[Tensor, ...]], *shapes: tuple[int, ...]
) -> None:
    """``backward(arguments, value, gradient)`` gives what autograd gives for ``function(*arguments)``."""
    arguments = [drawn(*shape) for shape in shapes]
    value = function(*arguments)
    gradient = torch.randn_like(value)
    expected = torch.autograd.grad(value, arguments, gradient)
    plain = [argument.detach() for argument in arguments]
    torch.testing.assert_close(backward(plain, value.detach(), gradient), expected)


def check_sequence(model: tm.Recurrent, by_hand: Any, leaves_of: Callable[[Any], dict[str, Tensor]]) -> None:
    """A sequence by hand gives what the eager engine and autograd give.

    Args:
        model: an LSTM with a memory.
        by_hand: the memory's equations.
        leaves_of: from the gradient of the memory's values to those of the leaves of its state, by name.
    """
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    state = random_state(model, 3)
    state = state.unflatten({name: leaf.requires_grad_() for name, leaf in state.flatten().items()})
    x = torch.randn(7, 3, model.cell.input_size, dtype=torch.float64, requires_grad=True)
    seen = []
    model.cell.readout.register_forward_pre_hook(lambda _, arguments: seen.append(arguments))
    model(x, state)
    outputs, reads = (torch.stack(values) for values in zip(*seen, strict=True))
    d_outputs, d_reads = torch.randn_like(outputs), torch.randn_like(reads)
    leaves = dict(named_leaves(state))
    unseen = ("readout", "memory.initial")
    weights = {name: p for name, p in model.cell.named_parameters() if not name.startswith(unseen)}
    wanted = [x, *weights.values(), *leaves.values()]
    expected = torch.autograd.grad((outputs, reads), wanted, (d_outputs, d_reads), materialize_grads=True)

    with torch.no_grad():
        sequence = Sequence(model.cell, by_hand)
        torch.testing.assert_close(sequence.forward(x, state), (outputs, reads))
        d_x, d_weights, (d_h, d_c, d_last_reads, d_memory) = sequence.backward(d_outputs, d_reads)
    found = {"controller.h": d_h, "controller.c": d_c, "reads": d_last_reads}
    found |= {f"memory.{name}": d for name, d in leaves_of(d_memory).items()}
    results = [d_x, *(d_weights[name] for name in weights), *(found[name] for name in leaves)]
    torch.testing.assert_close(tuple(results), tuple(expected), rtol=1e-9, atol=1e-11)
