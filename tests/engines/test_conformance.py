"""check_cell finds what is broken: for each clause a cell that breaks just that one."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

import torchmann as tm
from torchmann.cells import ElmanCell
from torchmann.cells.elman import ElmanState
from torchmann.core import Cell, Draw, stop_gradient
from torchmann.engines import CHECKS, ConformanceError


class UndecoratedState(NamedTuple):
    h: Tensor


class PlainTuple(ElmanCell):
    def initial_state(self, batch_size: int) -> Any:
        return UndecoratedState(self.initial_h(batch_size))


class InPlace(ElmanCell):
    def forward(self, x: Tensor, state: Any, noise: None = None) -> Any:
        state.h.mul_(0.5)
        return super().forward(x, state)


class Hoarder(ElmanCell):
    def forward(self, x: Tensor, state: Any, noise: None = None) -> Any:
        self.last = x
        return super().forward(x, state)


class Mixer(ElmanCell):
    def forward(self, x: Tensor, state: Any, noise: None = None) -> Any:
        return super().forward(x - x.mean(0), state)


class Counter(ElmanCell):
    """Counts its calls in Python: chunks then differ from the whole."""

    calls = 0

    def schedule(self, length: int, start: int = 0) -> list[str]:
        return ["dense"] * length

    def forward(self, x: Tensor, state: Any, noise: None = None) -> Any:
        Counter.calls += 1
        return super().forward(x * (1 + Counter.calls), state)


class Dice(ElmanCell):
    def forward(self, x: Tensor, state: Any, noise: None = None) -> Any:
        return super().forward(x + torch.randn_like(x), state)


class Branch(ElmanCell):
    def forward(self, x: Tensor, state: Any, noise: None = None) -> Any:
        return super().forward(x if x.sum() > 0 else -x, state)


class WrongGradient(ElmanCell):
    def forward(self, x: Tensor, state: Any, noise: None = None) -> Any:
        return super().forward(x, ElmanState(state.h.detach()))


class Growing(ElmanCell):
    def forward(self, x: Tensor, state: Any, noise: None = None) -> Any:
        y, _ = super().forward(x, state)
        return y, ElmanState(torch.cat([y, y], -1)[:, : self.hidden_size + 1])


class HalfState(ElmanCell):
    def forward(self, x: Tensor, state: Any, noise: None = None) -> Any:
        y = nn.functional.linear(x, self.weight_ih) + nn.functional.linear(state.h, self.weight_hh)
        return y, ElmanState(y)  # under autocast bfloat16


class FixedBatch(ElmanCell):
    def initial_state(self, batch_size: int) -> ElmanState:
        return super().initial_state(max(batch_size, 1))


class UndeclaredNoise(ElmanCell):
    """Random in training mode without saying so."""

    def forward(self, x: Tensor, state: Any, noise: None = None) -> Any:
        return super().forward(nn.functional.dropout(x, 0.5, self.training), state)


BROKEN: dict[type[Cell], str] = {
    PlainTuple: "step",
    Growing: "step",
    InPlace: "pure",
    Hoarder: "pure",
    Dice: "pure",
    Mixer: "rows",
    FixedBatch: "rows",
    Counter: "chunks",
    UndeclaredNoise: "noise",
    WrongGradient: "gradients",
    HalfState: "autocast",
}


@pytest.mark.parametrize("make", BROKEN, ids=lambda make: make.__name__)
def test_broken_clause_is_found(make: type[Cell]) -> None:
    torch.manual_seed(0)
    with pytest.raises(ConformanceError):
        CHECKS[BROKEN[make]](make(3, 4))  # type: ignore[call-arg]


def test_branch_on_a_value_does_not_compile() -> None:
    with pytest.raises(Exception, match=r"(?i)data-dependent"):
        CHECKS["compile"](Branch(3, 4))


def test_check_cell_runs_every_clause_and_leaves_the_cell_alone() -> None:
    cell = ElmanCell(3, 4)
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    tm.check_cell(cell)
    assert all(torch.equal(value, before[name]) for name, value in cell.state_dict().items())
    with pytest.raises(ConformanceError):
        tm.check_cell(Mixer(3, 4))


class Noise(NamedTuple):
    kick: Draw


class Kicked(ElmanCell):
    """A declared noise, and a stop-gradient in its differentiable form: both keep the contract."""

    def noise_spec(self, batch_size: int) -> Noise:
        return Noise(Draw((batch_size, self.hidden_size), "normal"))

    def forward(self, x: Tensor, state: Any, noise: Any = None) -> Any:
        h = stop_gradient(state.h) if noise is None else state.h + noise.kick
        return super().forward(x, ElmanState(h))


@pytest.mark.parametrize("clause", ["noise", "gradients", "chunks"])
def test_declared_noise_and_stops_keep_the_contract(clause: str) -> None:
    CHECKS[clause](Kicked(3, 4))
