"""Each keyword of `ARMIN`, `AwTA` and `TARDIS` changes what it says; a new keyword needs a line in CHECKS."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchmann as tm
from torchmann.cells import ARMINCell, TARDISCell, Zoneout
from torchmann.core import OptionError, ShapeError
from torchmann.memories import AutoAddressing, TardisAddressing, Uniform
from torchmann.models import preset_names

T, B, X, H, N, W = 6, 3, 3, 8, 4, 5
MODELS: dict[str, Any] = {"ARMIN": tm.ARMIN, "AwTA": tm.AwTA, "TARDIS": tm.TARDIS}


def make(model: Any, **options: Any) -> Any:
    return model(**({"input_size": X, "hidden_size": H, "slots": N, "width": W} | options)).eval()


def inputs(**options: Any) -> Tensor:
    return torch.randn(T, B, X, **options)


def sizes(model: Any) -> None:
    made = make(model, output_size=2)
    output, state = made(inputs())
    assert output.shape == (T, B, 2) and state.memory.memory.shape == (B, N, W)
    assert state.controller.h.shape == (B, H)
    with pytest.raises(ShapeError, match="3 features"):
        made(torch.randn(T, B, 4))
    assert make(model, width=None)(inputs())[1].memory.memory.shape == (B, N, H)


def output_size(model: Any) -> None:
    assert make(model)(inputs())[0].shape == (T, B, H)
    assert make(model, output_size=7)(inputs())[0].shape == (T, B, 7)


def preset(model: Any) -> None:
    assert preset_names(model.__name__) == ["recommended", "released", "released_pixel"]
    released = make(model, preset="released")
    assert released.cell.memory.initial_memory.kind == "learned"
    assert released.cell.entry.sources == ("x", "h")
    assert make(model, preset="released", stored="hidden").cell.entry.sources == ("h",), "a keyword goes first"
    with pytest.raises(OptionError, match=f"unknown preset of {model.__name__} 'paper'"):
        make(model, preset="paper")


def key_size(model: Any) -> None:
    assert make(model).cell.memory.addressing.keys.shape == (N, 5)
    assert make(model, key_size=2).cell.memory.addressing.keys.shape == (N, 2)


def query_size(model: Any) -> None:
    assert make(model).cell.memory.addressing.address_size == H // 4
    assert make(model, query_size=6).cell.memory.addressing.address_size == 6
    assert make(model, hidden_size=3).cell.memory.addressing.address_size == 1


def sampling(model: Any) -> None:
    hard, soft = make(model), make(model, sampling="softmax")
    soft.load_state_dict(hard.state_dict())
    for made, is_hard in ((hard, True), (soft, False)):
        weights = made(inputs())[1].memory.read_weights
        assert ((weights == 0) | (weights == 1)).all() == is_hard


def temperature(model: Any) -> None:
    made = make(model, temperature=0.5, sampling="softmax")
    assert made.cell.memory.addressing.temperature.item() == 0.5
    (name,) = made.cell.annealed
    assert name == "memory.addressing.temperature"
    x = inputs()
    before = made(x)[0]
    made.cell.get_buffer(name).fill_(0.1)
    assert not torch.allclose(made(x)[0], before)


def penalty(model: Any) -> None:
    assert make(model, penalty=3.0).cell.memory.addressing.penalty == 3.0
    weights = [make(model, penalty=value)(inputs())[1].memory.usage for value in (0.0, -100.0)]
    assert (weights[1].amax(-1) == T).all(), "a reward in place of a penalty: always the same slot"


def penalty_gradient(model: Any) -> None:
    assert not make(model).cell.memory.addressing.penalty_gradient
    assert make(model, penalty_gradient=True).cell.memory.addressing.penalty_gradient
    assert make(model, preset="released").cell.memory.addressing.penalty_gradient


def normalisation(model: Any) -> None:
    assert make(model).cell.memory.addressing.normalisation == "none"
    assert isinstance(make(model, normalisation="layer_norm").cell.memory.addressing.norm, nn.LayerNorm)


def order(model: Any) -> None:
    assert make(model).cell.memory.addressing.order == "normalise_first"
    assert make(model, order="penalise_first").cell.memory.addressing.order == "penalise_first"


def read_keys(model: Any) -> None:
    made = make(model, read_keys=True)
    assert made(inputs())[1].reads.shape == (B, 5 + W) and made.cell.controller.read_size == 5 + W


def stored(model: Any) -> None:
    expected = {"hidden": ("h",), "mapped": ("h",), "mapped_with_input": ("x", "h")}
    for name, sources in expected.items():
        entry = make(model, stored=name, width=H).cell.entry
        assert entry.sources == sources and isinstance(entry.linear, nn.Identity) == (name == "hidden")
        assert isinstance(make(model, stored=name).cell.entry.linear, nn.Linear), "a narrower slot needs a map"
    made = make(model, stored="hidden", width=H)
    _, state = made(inputs()[:1])
    assert torch.equal(state.memory.memory[:, 0], state.controller.h)
    with pytest.raises(OptionError, match="unknown stored 'hiden': did you mean 'hidden'"):
        make(model, stored="hiden")


def addressed_by(model: Any) -> None:
    assert make(model).cell.address.sources == ("x", "h")
    assert make(model, addressed_by="c").cell.address.sources == ("x", "c")


def gate_temperature(model: Any) -> None:
    assert make(model).cell.controller.temperature == 0.3
    assert make(model, gate_temperature=1.0).cell.controller.temperature == 1.0


def peepholes(model: Any) -> None:
    assert make(model).cell.controller.peephole is None
    assert make(model, peepholes=True).cell.controller.peephole.shape == (3, H)


def squash_state(model: Any) -> None:
    big = 30 * inputs()
    for squash in (True, False):
        made = make(model, squash_state=squash)
        nn.init.constant_(made.cell.controller.bias_go[:H], 10.0)
        assert (made(big)[1].controller.h.abs() <= 1).all() == squash


def squash_reads(model: Any) -> None:
    one, other = make(model), make(model, squash_reads=False)
    other.load_state_dict(one.state_dict())
    x = inputs()
    assert not torch.allclose(one(x)[0], other(x)[0])
    torch.testing.assert_close(one(x)[1], other(x)[1])


def output_reads(model: Any) -> None:
    assert make(model).cell.readout.linear.in_features == H + W
    assert make(model, output_reads=False).cell.readout.linear.in_features == H


def layer_norm(model: Any) -> None:
    _, state = make(model, layer_norm=True)(inputs())
    torch.testing.assert_close(state.controller.h.mean(-1), torch.zeros(B), atol=1e-5, rtol=0)


def zoneout_keep(model: Any) -> None:
    assert not isinstance(make(model).cell.controller, Zoneout)
    zoned = make(model, zoneout_keep=0.8).cell.controller
    assert isinstance(zoned, Zoneout) and set(zoned.keep) == {0.8}
    assert zoned.output == ("zoned" if model is tm.TARDIS else "new")


def forget_bias(model: Any) -> None:
    controller = make(model, forget_bias=3.0).cell.controller
    bias = controller.bias if model is tm.TARDIS else controller.bias_go
    assert bias[H : 2 * H].tolist() == [3] * H


def initial_controller(model: Any) -> None:
    assert not make(model).initial_state(B).controller.h.any()
    start = make(model, initial_controller="tanh").cell.controller.initial_h
    assert start.kind == "tanh" and not start.weight.any()


def initial_draw(model: Any) -> None:
    def start(name: str) -> Tensor:
        made = make(model, hidden_size=400, initial_controller="tanh", initial_draw=name)
        return made.cell.controller.initial_h.weight

    assert 0 <= start("uniform").min() < 0.1 and 0.9 < start("uniform").max() < 1
    assert start("normal").min() < -1.5 and not start("zero").any()
    with pytest.raises(OptionError, match="unknown initial_draw 'unifrom': did you mean 'uniform'"):
        make(model, initial_draw="unifrom")


def initial_memory(model: Any) -> None:
    assert make(model).cell.memory.initial_memory.kind == "constant"
    assert make(model, initial_memory="learned").cell.memory.initial_memory.weight.shape == (N, W)


def output_init(model: Any) -> None:
    weight = make(model, output_size=2).cell.readout.linear.weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(2))
    weight = make(model, output_size=2, output_init="xavier").cell.readout.linear.weight
    assert not torch.allclose(weight @ weight.T, torch.eye(2), atol=1e-2)
    with pytest.raises(OptionError, match="unknown output_init 'orthogonl': did you mean 'orthogonal'"):
        make(model, output_init="orthogonl")


def writing(model: Any) -> None:
    made = make(model, writing="uniform:2")
    assert isinstance(made.cell.writing, Uniform) and made(inputs())[1].memory.filled.tolist() == [T // 2] * B


def batch_first(model: Any) -> None:
    assert make(model, batch_first=True)(inputs().transpose(0, 1))[0].shape == (B, T, H)


def engine(model: Any) -> None:
    with pytest.raises(OptionError, match="unknown engine 'fast'"):
        make(model, engine="fast")


def device(model: Any) -> None:
    for name in preset_names(model.__name__):
        output, state = make(model, device="meta", preset=name)(inputs(device="meta"))
        assert output.is_meta and all(leaf.is_meta for leaf in state.flatten().values())


def dtype(model: Any) -> None:
    made = make(model, dtype=torch.float64, temperature=1 / 3)
    output, state = made(inputs(dtype=torch.float64))
    assert output.dtype == torch.float64 and state.memory.memory.dtype == torch.float64
    assert made.cell.memory.addressing.temperature.item() == 1 / 3, "not rounded to another dtype on the way"


CHECKS: dict[str, Callable[[Any], None]] = {
    **dict.fromkeys(("input_size", "hidden_size", "slots", "width"), sizes),
    **{
        check.__name__: check
        for check in (
            *(output_size, preset, key_size, query_size, sampling, temperature, penalty, penalty_gradient),
            *(normalisation, order),
            *(read_keys, stored, addressed_by, gate_temperature, peepholes, squash_state, squash_reads, output_reads),
            *(layer_norm, zoneout_keep, forget_bias, initial_controller, initial_draw, initial_memory, output_init),
            *(writing, batch_first, engine, device, dtype),
        )
    },
}


@pytest.mark.parametrize(
    ("model", "keyword"),
    [(name, keyword) for name, model in MODELS.items() for keyword in inspect.signature(model).parameters],
)
def test_keyword(model: str, keyword: str) -> None:
    CHECKS[keyword](MODELS[model])


def test_each_model_is_a_cell_and_an_addressing() -> None:
    parts = {name: make(model).cell for name, model in MODELS.items()}
    assert {name: type(cell.controller) for name, cell in parts.items()} == {
        "ARMIN": ARMINCell,
        "AwTA": ARMINCell,
        "TARDIS": TARDISCell,
    }
    assert {name: type(cell.memory.addressing) for name, cell in parts.items()} == {
        "ARMIN": AutoAddressing,
        "AwTA": TardisAddressing,
        "TARDIS": TardisAddressing,
    }


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("preset_name", ["recommended", "released", "released_pixel"])
def test_every_preset_learns(model: str, preset_name: str) -> None:
    made = make(MODELS[model], preset=preset_name).train()
    made(inputs(), generator=torch.Generator().manual_seed(0))[0].square().sum().backward()
    for path, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), path


def test_noise_in_evaluation_is_what_is_passed() -> None:
    """Evaluation takes the best slot; the released code draws there, too: pass noise for that."""
    made = make(tm.ARMIN)
    x, noise = inputs(), tm.core.draw_noise(made.cell.noise_spec(B), T, generator=None, like=inputs())
    assert torch.equal(made(x)[0], made(x)[0])
    with tm.Recorder(made) as recorder:
        made(x, noise=noise._replace(memory=noise.memory._replace(address=20 * noise.memory.address)))
    chosen = recorder["memory.read_weights"].squeeze(2).argmax(-1)
    assert (chosen == noise.memory.address.argmax(-1)).float().mean() > 0.9
