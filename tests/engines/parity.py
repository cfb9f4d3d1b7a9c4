"""Whether an engine gives a cell's outputs, states and first derivatives as eager gives them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchmann.core import Cell
from torchmann.core.noise import draw_noise
from torchmann.core.state import map_leaves, named_leaves
from torchmann.engines import Engine, eager

STEPS, BATCH = 7, 3


def everything(engine: Engine, cell: Cell, x: Tensor, state: Any = None, **options: Any) -> dict[str, Tensor | None]:
    """Outputs, states and all gradients of a loss in which each of them counts for something."""
    x = x.clone().requires_grad_()
    start = cell.initial_state(x.shape[1]) if state is None else map_leaves(Tensor.clone, state)
    given = {f"state.{name}": leaf for name, leaf in named_leaves(start) if leaf.is_floating_point()}
    if state is not None:
        for leaf in given.values():
            leaf.requires_grad_()
    output, after = engine(cell, x, start, **{"schedule": cell.schedule(len(x)), **options})
    found: dict[str, Tensor | None] = {
        "output": output,
        **{f"after.{name}": leaf for name, leaf in named_leaves(after)},
    }
    loss = sum(
        (value * torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).view_as(value)).square().sum()
        for value in found.values()
        if value is not None and value.requires_grad
    )
    sources = {"x": x, **dict(cell.named_parameters()), **(given if state is not None else {})}
    sources = {name: value for name, value in sources.items() if value.requires_grad}
    gradients = torch.autograd.grad(loss, list(sources.values()), allow_unused=True)
    return found | {f"gradient of {name}": value for name, value in zip(sources, gradients, strict=True)}


def agree(
    engine: Engine, cell: Cell, x: Tensor, state: Any = None, *, rtol: float, atol: float, **options: Any
) -> None:
    """Require an engine to give what eager gives; where one of them has no gradient, the other may have zeros."""
    wanted, got = everything(eager.unroll, cell, x, state, **options), everything(engine, cell, x, state, **options)
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        found = got[name]
        if value is None or found is None:
            rest = found if value is None else value
            assert rest is None or not rest.any(), f"{name}: {found} instead of {value}"
        else:
            torch.testing.assert_close(
                found, value, rtol=rtol, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
            )


def arguments(cell: Cell, *, batch: int = BATCH, dtype: torch.dtype = torch.float64) -> tuple[Tensor, dict[str, Any]]:
    """An input, and lengths, resets and noise that there may be with it."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(STEPS, batch, cell.input_size, dtype=dtype, generator=generator)
    lengths = torch.randint(1, STEPS + 1, (batch,), generator=generator)
    reset = torch.rand(STEPS, batch, generator=generator) < 0.25
    noise = draw_noise(cell.noise_spec(batch), STEPS, generator=generator, like=x)
    return x, {"lengths_B": lengths, "reset_TB": reset, "noise": noise}
