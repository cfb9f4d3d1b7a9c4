"""On an accelerator the same numbers come out as on the CPU. Skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import torchmann as tm

MODELS: dict[str, Callable[[], tm.Recurrent]] = {
    "rnn": lambda: tm.RNN(3, 8),
    "gru": lambda: tm.GRU(3, 8),
    "lstm": lambda: tm.LSTM(3, 8),
    "ntm": lambda: tm.NTM(3, 8, slots=33, width=5, reads=2, writes=2),
    "dnc": lambda: tm.DNC(3, 8, slots=33, width=5, reads=2, writes=2),
}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("name", MODELS)
def test_cuda_equals_cpu(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]()
    x, lengths = torch.randn(9, 4, 3), [9, 3, 1, 7]
    results = []
    for device in ("cpu", "cuda"):
        model.to(device).zero_grad()
        output, state = model(x.to(device), lengths=lengths)
        output.square().sum().backward()
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        results.append([value.cpu() for value in (output, *state.flatten().values(), *gradients)])
    for cpu, cuda in zip(*results, strict=True):
        torch.testing.assert_close(cuda, cpu, rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize(("saved_on", "loaded_on"), [("cuda", "cpu"), ("cpu", "cuda"), ("cuda", "cuda")])
def test_a_stored_model_goes_to_any_device(saved_on: str, loaded_on: str, tmp_path: Path) -> None:
    model = tm.DNC(3, 8, slots=5, width=4).to(saved_on)
    tm.save(model, tmp_path / "model")
    loaded = tm.load(tmp_path / "model", device=loaded_on).state_dict()
    assert {value.device.type for value in loaded.values()} == {loaded_on}
    assert all(torch.equal(value.cpu(), loaded[name].cpu()) for name, value in model.state_dict().items())
