"""How much a network keeps of each input: the measure, its bound, and the writing steps that are best by it.

``c_{i,t} = ||d h_t / d x_i||`` says how much the controller's hidden vector after step t still depends on the input
of step i. Its mean over the inputs, at the last step, is how much of the sequence is memorised. For a memory of D slots
there is a lower bound on it that only depends on when the D writes happen, and equal intervals are best.

Shapes: T time, S the steps t that are asked for, B batch, I input, H hidden. Write steps count from 1, as in the paper;
all other steps count from 0, as in Python.
Source: "Learning to remember more with less memorization", the measurement of memorization and Theorem 2.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from itertools import combinations, pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from torchmann.cells import MemoryAugmentedCell, Stacked
from torchmann.core import DENSE, Cell, Controller, OptionError, differentiable_form, unknown_name
from torchmann.core.errors import require_positive
from torchmann.engines import Recurrent
from torchmann.engines.arguments import check_input, resolve_schedule
from torchmann.memories import WritingPolicy
from torchmann.memories.writing import CACHED, HOLD_READ
from torchmann.models import SequenceModel

NORMS: dict[str, Any] = {"spectral": 2, "frobenius": "fro"}

WriteSteps = tuple[int, ...]


def contributions(
    model: Recurrent | SequenceModel,
    inputs: Tensor,
    *,
    steps: Sequence[int] | None = None,
    schedule: Any = None,
    norm: Literal["spectral", "frobenius"] = "spectral",
) -> Tensor:
    """``c_{i,t}``, how much the hidden vector after step t depends on the input of step i.

    The hidden vector is that of the (top) controller, of a cell without one its output. The dependence is that of the
    function in evaluation mode: through the controller and the memory, and also where training stops the gradient.
    It takes one batched backward pass for each t.

    Args:
        model: any `Recurrent`, or a `SequenceModel`, whose x_i is what its body is given.
        inputs: as the model takes them: ``[T, B, I]`` (``[B, T, I]`` with `batch_first`), or unbatched ``[T, I]``.
        steps: the t to look at, negative ones from the end (``[-1]``: only the last); None is all.
        schedule: a writing policy or a step kind for each step, in place of the model's own policy.
        norm: ``"spectral"``: the largest change of the hidden vector by an input change of length 1, which makes
            ``h_t = a h_{t-1} + x_t`` give ``|a|^(t-i)``; or ``"frobenius"``. The paper leaves the norm open.

    Returns:
        ``[S, T, B]``: t, then i, then the row; without B for unbatched inputs. Zero where i > t.

    Raises:
        ShapeError: inputs that the model cannot take.
        OptionError: unknown norm, bad schedule, or a step outside the sequence.
    """
    if norm not in NORMS:
        raise unknown_name("norm", norm, NORMS)
    if isinstance(model, SequenceModel):
        with torch.no_grad():
            inputs = model.encoder(inputs)
        model = model.body
    check_input(model.cell, inputs, model.batch_first)
    batched = inputs.dim() == 3
    x_TBI = inputs.detach() if batched else inputs.detach().unsqueeze(1)
    x_TBI = (x_TBI.transpose(0, 1) if batched and model.batch_first else x_TBI).requires_grad_()
    length = len(x_TBI)
    steps = range(length) if steps is None else steps
    if any(not -length <= t < length for t in steps):
        raise OptionError(f"steps must lie in {-length}..{length - 1} for a sequence of {length}, got {list(steps)}.")
    kinds = resolve_schedule(model.cell, schedule, length, start=0)
    with torch.enable_grad(), differentiable_form():
        hidden = _hidden_vectors(model.cell, x_TBI, kinds)
        c_STB = torch.stack([_jacobian_norms(hidden[t], x_TBI, NORMS[norm]) for t in steps])
    return c_STB if batched else c_STB.squeeze(-1)


def _hidden_vectors(cell: Cell, x_TBI: Tensor, kinds: Sequence[Hashable]) -> list[Tensor]:
    state, hidden = cell.initial_state(x_TBI.shape[1]), []
    for kind, x_BI in zip(kinds, x_TBI.unbind(0), strict=True):
        output_BO, state = cell.step_of_kind(kind)(x_BI, state)
        hidden.append(_hidden(cell, state, output_BO))
    return hidden


def _hidden(cell: Cell, state: Any, output_BO: Tensor) -> Tensor:
    if isinstance(cell, MemoryAugmentedCell):
        return cell.controller.hidden(state.controller)
    if isinstance(cell, Stacked):  # its top layer may have a memory
        return _hidden(cell.cells[-1], state.layers[-1], output_BO)
    return cell.hidden(state) if isinstance(cell, Controller) else output_BO


def _jacobian_norms(h_BH: Tensor, x_TBI: Tensor, order: Any) -> Tensor:
    """The norm of d h / d x_i for each i, ``[T, B]``; rows do not meet, so one backward pass serves all of them."""
    batch_size, hidden_size = h_BH.shape
    basis_HBH = torch.eye(hidden_size, dtype=h_BH.dtype, device=h_BH.device).unsqueeze(1).expand(-1, batch_size, -1)
    (rows_HTBI,) = torch.autograd.grad(h_BH, x_TBI, basis_HBH, retain_graph=True, is_grads_batched=True)
    return torch.linalg.matrix_norm(rows_HTBI.permute(1, 2, 0, 3), order)


def memorised(contributions: Tensor) -> Tensor:
    """``I = (1/T) sum_i c_{i,T}``: how much of a sequence the last hidden vector keeps.

    Args:
        contributions: ``[S, T, B]`` or ``[S, T]``, the last of S being the last step.

    Returns:
        ``[B]``, or 0-dim.
    """
    return contributions[-1].mean(0)


def fitted_decay(contributions: Tensor) -> Tensor:
    """The lambda with which ``c_{T,T} lambda^(T-i)`` in place of ``c_{i,T}`` memorises as much; it always exists.

    Below 1 the network forgets, above 1 it amplifies what is long past.

    Args:
        contributions: ``[S, T, B]`` or ``[S, T]``, the last of S being the last step.

    Returns:
        ``[B]``, or 0-dim.

    Raises:
        OptionError: a sequence of one step, which every lambda fits.
    """
    c_TB = contributions[-1].double()
    length = len(c_TB)
    if length < 2:
        raise OptionError("contributions must span at least two steps to fit a decay, got one.")
    total_B = c_TB.sum(0) / c_TB[-1]
    exponents_T = torch.arange(length, device=c_TB.device)
    # the sum of powers grows with lambda, and its highest power alone must not exceed the total
    low_B, high_B = torch.zeros_like(total_B), total_B ** (1 / (length - 1))
    for _ in range(60):
        middle_B = (low_B + high_B) / 2
        above_B = (middle_B.unsqueeze(-1) ** exponents_T).sum(-1) > total_B
        low_B, high_B = torch.where(above_B, low_B, middle_B), torch.where(above_B, middle_B, high_B)
    return high_B.type_as(contributions)


def writing_steps(policy: WritingPolicy, length: int) -> WriteSteps:
    """The steps 1..T at which a policy writes to the memory."""
    kinds = policy.schedule(length)
    return tuple(step for step, kind in enumerate(kinds, start=1) if kind in (DENSE, CACHED, HOLD_READ))


def memorisation_bound(write_steps: Sequence[int], length: int, decay: float, scale: float = 1.0) -> float:
    """The lower bound ``I_lambda = (C/T) sum_i f(l_i)`` of what a memory lets a network keep of a sequence.

    The D writes cut the sequence into D + 1 intervals of l_i steps, of each of which
    ``f(l) = (1 - lambda^l) / (1 - lambda)`` is kept (l if lambda is 1). It holds for as many slots as writes: a write
    more would overwrite. A write at step T, which uniform writing makes if its interval divides T, adds an empty one.

    Args:
        write_steps: ``K_1 < ... < K_D``, each in 1..T.
        length: T.
        decay: lambda, how much a step of the controller keeps of what it had.
        scale: C, which the theorem leaves open.

    Raises:
        OptionError: write steps that do not rise or leave the sequence, or a decay that is not positive.
    """
    require_positive(length=length)
    if not decay > 0:
        raise OptionError(f"decay must be positive, got {decay}.")
    edges = (0, *write_steps, length)
    intervals = [after - before for before, after in pairwise(edges)]
    if any(interval < 1 for interval in intervals[:-1]) or intervals[-1] < 0:
        raise OptionError(
            f"write_steps must rise and lie in 1..{length} (steps count from 1), got {list(write_steps)}."
        )
    # summed exactly, so that the order of the intervals makes no difference
    return scale / length * math.fsum(_kept(interval, decay) for interval in intervals)


def _kept(interval: int, decay: float) -> float:
    """``f(l)``: the sum of the first l powers of the decay."""
    if decay == 1:
        return interval
    return -math.expm1(interval * math.log(decay)) / (
        1 - decay
    )  # exact near 1, where the quotient of differences is not


def optimal_write_steps(length: int, slots: int) -> WriteSteps:
    """The D write steps that are best by `memorisation_bound`: they cut T into D + 1 intervals as equal as can be.

    They maximise the bound for lambda <= 1, where f is concave; for lambda > 1, where the past grows beyond measure,
    they minimise it, which is then what is wanted. If D + 1 divides T they are those of
    ``Uniform(optimal_interval(T, D))``, but for its write at T; else that policy is close, these steps exact.

    Args:
        length: T.
        slots: D.

    Raises:
        OptionError: not more steps than slots.
    """
    require_positive(length=length, slots=slots)
    if slots >= length:
        raise OptionError(f"slots must be fewer than the {length} steps, got {slots}: write at every step instead.")
    return tuple(number * length // (slots + 1) for number in range(1, slots + 1))


def brute_force_bounds(length: int, slots: int, decay: float) -> dict[WriteSteps, float]:
    """The bound of every way to choose D write steps before the last of T steps: ``binomial(T - 1, D)`` of them.

    Args:
        length: T.
        slots: D.
        decay: lambda.
    """
    require_positive(length=length, slots=slots)
    return {steps: memorisation_bound(steps, length, decay) for steps in combinations(range(1, length), slots)}
