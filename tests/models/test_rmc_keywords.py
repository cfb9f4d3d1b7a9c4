"""Each keyword of `RMC` and `DARMC` changes what it says that it changes; a new keyword needs a line in CHECKS."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

import torchmann as tm
from torchmann.cells import FeedForwardCell, GRUCell, PassThrough
from torchmann.core import OptionError
from torchmann.memories import Distributed, Uniform

T, B, N, W = 5, 3, 4, 6
Model = tm.RMC | tm.DARMC


def make(model: Any, **options: Any) -> Any:
    return model(**({"input_size": 3, "slots": N, "width": W, "heads": 2} | options))


def inputs(**options: Any) -> Tensor:
    return torch.randn(T, B, 3, **options)


def core(model: Model) -> Any:
    """The relational memory, of DARMC that of a block."""
    memory = model.cell.memory
    return memory.block.memory if isinstance(memory, Distributed) else memory


def contents(state: Any) -> Tensor:
    """Its slots, of DARMC those of all blocks."""
    (slots,) = state.memory.flatten().values()
    return slots


def start(model: Model) -> Tensor:
    """The slots before the first step."""
    return contents(model.initial_state(B))


def names(model: Model) -> list[str]:
    """What is trained in the core."""
    return [name for name, _ in core(model).named_parameters()]


def sizes(model: Any) -> None:
    output, state = make(model)(inputs())
    assert output.shape == (T, B, N * W)
    with pytest.raises(tm.core.ShapeError, match="3 features"):
        make(model)(torch.randn(T, B, 4))
    assert contents(state).shape[-2:] == (N, W)
    if model is tm.RMC:
        assert torch.equal(output[-1], contents(state).flatten(1)), "the output is the memory"
        assert isinstance(make(model).cell.controller, PassThrough)


def heads(model: Any) -> None:
    assert [core(make(model, heads=number)).attention[0].sizes for number in (1, 3)] == [[6, 6, 6], [2, 2, 2]]
    with pytest.raises(OptionError, match="width must be a multiple of heads, got width=6 and heads=4"):
        make(model, heads=4)


def hidden_size(model: Any) -> None:
    assert [make(model, hidden_size=size).cell.controller.output_size for size in (None, 7)] == [W, 7]


def blocks(model: Any) -> None:
    assert make(model).cell.memory.blocks == 2
    _, state = make(model, blocks=3)(inputs())
    assert state.memory.blocks.memory.shape == (B, 3, N, W)


def controller(model: Any) -> None:
    assert type(make(model).cell.controller) is FeedForwardCell
    gru = make(model, controller="gru")
    assert type(gru.cell.controller) is GRUCell and gru.cell.controller.input_size == 3, "no reads are fed back"


def layers(model: Any) -> None:
    _, state = make(model, layers=3)(inputs())
    assert len(state.controller.layers) == 3 and state.controller.layers[2].h.shape == (B, W)


def output_size(model: Any) -> None:
    assert make(model, output_size=9)(inputs())[0].shape == (T, B, 9)


def output_layers(model: Any) -> None:
    deep = make(model, output_size=2, output_layers=[8, 7])
    assert [layer.out_features for layer in deep.cell.readout.layers] == [8, 7] and deep(inputs())[0].shape == (T, B, 2)
    assert make(model, output_layers=[8])(inputs())[0].min() >= 0


def preset(model: Any) -> None:
    port = core(make(model, preset="port", attention_blocks=2))
    assert (len(port.attention), len(port.mlp)) == (1, 1) and {"forget_bias", "input_bias"} <= dict(
        port.named_parameters()
    ).keys()
    assert port.attention[0].mlp_norm.normalized_shape == (N + 1, W) and (port.mlp_output(-torch.ones(1)) == 0).all()
    untied = core(make(model, preset="port", tied_mlp=False))
    assert len(untied.mlp) == 2, "a keyword goes before the preset"
    with pytest.raises(OptionError, match=f"unknown preset of {model.__name__} 'prot': did you mean 'port'"):
        make(model, preset="prot")


def key_size(model: Any) -> None:
    assert core(make(model, key_size=5)).attention[0].sizes == [5, 5, 3]


def attention_blocks(model: Any) -> None:
    deep = make(model, attention_blocks=3)
    assert len(core(deep).attention) == 3 and deep(inputs())[0].shape == (T, B, N * W)


def mlp_layers(model: Any) -> None:
    assert len(core(make(model, mlp_layers=3)).mlp) == 3


def gate_style(model: Any) -> None:
    widths = [core(make(model, gate_style=style)).gates_from_input.out_features for style in ("unit", "memory")]
    assert widths == [2 * W, 2]
    assert not any("gates" in name for name in names(make(model, gate_style="none")))


def gate_biases(model: Any) -> None:
    assert (core(make(model)).forget_bias, core(make(model)).input_bias) == (1.0, 0.0)
    kept = make(model, forget_bias=1e4, input_bias=-1e4)
    _, state = kept(inputs())
    assert torch.equal(contents(state), start(kept))


def trained_gate_biases(model: Any) -> None:
    trained = make(model, trained_gate_biases=True, forget_bias=0.5)
    assert {"forget_bias", "input_bias"} <= set(names(trained)) and (core(trained).forget_bias == 0.5).all()
    assert not {"forget_bias", "input_bias"} & set(names(make(model)))


def norm(model: Any) -> None:
    shapes = [core(make(model, norm=name)).attention[0].attention_norm.normalized_shape for name in ("row", "joint")]
    assert shapes == [(W,), (N + 1, W)]


def tied_mlp(model: Any) -> None:
    assert [len(core(make(model, tied_mlp=tied)).mlp) for tied in (False, True)] == [2, 1]


def mlp_output(model: Any) -> None:
    x = -torch.ones(2)
    assert [core(make(model, mlp_output=name)).mlp_output(x).sum().item() for name in ("none", "relu")] == [-2, 0]


def tied_blocks(model: Any) -> None:
    counts = [len(core(make(model, attention_blocks=2, tied_blocks=tied)).attention) for tied in (False, True)]
    assert counts == [2, 1]


def writing(model: Any) -> None:
    uniform = make(model, writing=Uniform(2))
    with tm.Recorder(uniform) as recorder:
        uniform(inputs())
    leaf = "blocks.memory" if model is tm.DARMC else "memory"
    slots = [start(uniform), *recorder[f"state.memory.{leaf}"]]
    changed = [not torch.equal(new, old) for old, new in pairwise(slots)]
    assert changed == [False, True, False, True, False]
    if model is tm.RMC:
        with pytest.raises(OptionError, match="cached writing replaces the controller's last hidden vector"):
            make(model, writing="cached:2")
    else:
        assert make(model, writing="cached:2", controller="gru")(inputs())[0].shape == (T, B, N * W)


def batch_first(model: Any) -> None:
    assert make(model, batch_first=True)(torch.randn(B, T, 3))[0].shape == (B, T, N * W)


def engine(model: Any) -> None:
    with pytest.raises(OptionError, match="unknown engine 'fast'"):
        make(model, engine="fast")


def device(model: Any) -> None:
    meta = make(model, device="meta", preset="port", output_size=2)
    assert all(tensor.is_meta for tensor in (*meta.parameters(), *meta.buffers()))
    assert meta(inputs(device="meta"))[0].is_meta


def dtype(model: Any) -> None:
    double = make(model, dtype=torch.float64, preset="port", output_size=2)
    output, state = double(inputs(dtype=torch.float64))
    assert output.dtype == torch.float64 and all(leaf.dtype == torch.float64 for leaf in state.flatten().values())


CHECKS: dict[str, Callable[[Any], None]] = {
    **dict.fromkeys(("input_size", "slots", "width"), sizes),
    **dict.fromkeys(("forget_bias", "input_bias"), gate_biases),
    "heads": heads,
    "hidden_size": hidden_size,
    "blocks": blocks,
    "controller": controller,
    "layers": layers,
    "output_size": output_size,
    "output_layers": output_layers,
    "preset": preset,
    "key_size": key_size,
    "attention_blocks": attention_blocks,
    "mlp_layers": mlp_layers,
    "gate_style": gate_style,
    "trained_gate_biases": trained_gate_biases,
    "norm": norm,
    "tied_mlp": tied_mlp,
    "mlp_output": mlp_output,
    "tied_blocks": tied_blocks,
    "writing": writing,
    "batch_first": batch_first,
    "engine": engine,
    "device": device,
    "dtype": dtype,
}


@pytest.mark.parametrize("keyword", inspect.signature(tm.RMC).parameters)
def test_keyword_of_rmc(keyword: str) -> None:
    CHECKS[keyword](tm.RMC)


@pytest.mark.parametrize("keyword", inspect.signature(tm.DARMC).parameters)
def test_keyword_of_darmc(keyword: str) -> None:
    CHECKS[keyword](tm.DARMC)
