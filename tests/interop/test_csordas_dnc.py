"""Our model against RobertCsordas/dnc written anew: any number of controller layers and read heads, any limit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.interop.cases import Case, agree_with, group, random_arrays, random_case
from tests.interop.oracles import csordas_dnc as oracle

from torchmann.core.errors import DataError
from torchmann.interop import SourceModel, from_source, replay

SIZES = {
    "one of each": ({"I": 1, "O": 1, "N": 1, "W": 1, "R": 1, "T": 3, "B": 1}, [1]),
    "three heads": ({"I": 3, "O": 2, "N": 5, "W": 4, "R": 3, "T": 5, "B": 2}, [5]),
    "two layers": ({"I": 2, "O": 3, "N": 4, "W": 3, "R": 2, "T": 4, "B": 3}, [4, 4]),
    "layers of different widths": ({"I": 4, "O": 2, "N": 6, "W": 2, "R": 1, "T": 4, "B": 2}, [5, 2, 3]),
}
PLAIN = {"mask": False, "dealloc_content": False, "link_sharpness_control": False}


def made(sizes: str = "three heads", clip: float = 20.0, *, fed: bool = True, **options: Any) -> Case:
    """From a fed memory, because in one of zeros all slots tie."""
    size, widths = SIZES[sizes]
    size = size | {"H": widths[0]}
    arrays = random_case(
        "csordas-dnc",
        size,
        PLAIN,
        inputs={"input": (size["T"], size["B"], size["I"])},
        output=(size["T"], size["B"], size["O"]),
        fed={"memory": (size["B"], size["N"], size["W"])} if fed else None,
        constants={"epsilon": 1e-6, "clip_controls": clip, "mask_min": 0.0, "forget_bias": 0.0},
    )
    arrays["meta"]["options"] |= {"clip_controller": clip} | options
    others = {key: value for key, value in arrays.items() if not key.startswith("param/")}
    return others | random_arrays({f"param/{k}": shape for k, shape in oracle.shapes(size, widths).items()}, seed=3)


def built(arrays: Case) -> SourceModel:
    return from_source("csordas-dnc", group(arrays, "param"), arrays["meta"], group(arrays, "const"))


@pytest.mark.parametrize("clip", [0.0, 0.2, 20.0])
@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_from_a_fed_memory(sizes: str, clip: float) -> None:
    agree_with(oracle.run, made(sizes, clip))


@pytest.mark.parametrize("sizes", SIZES)
def test_same_numbers_from_zeros(sizes: str) -> None:
    agree_with(oracle.run, made(sizes, fed=False), tied=True)


def test_a_limit_of_the_controls_is_met() -> None:
    free, limited = (replay(made(clip=clip))["state/write_vector"] for clip in (20.0, 0.2))
    assert np.abs(free).max() > 0.2 and np.abs(limited).max() == pytest.approx(0.2)


def test_a_forget_bias_at_run_time_is_honoured() -> None:
    arrays = made("two layers")
    hidden, name = arrays["meta"]["sizes"]["H"], "controller.in_to_all_{}.bias"
    found = replay(arrays | {"const/forget_bias": np.array(0.7)})["output"]
    for layer in range(2):
        arrays[f"param/{name.format(layer)}"][:hidden] += 0.7
    np.testing.assert_allclose(found, replay(arrays)["output"], rtol=1e-12)


@pytest.mark.parametrize("sizes", SIZES)
def test_trained_parameters_gradients_and_states_there_and_back(sizes: str) -> None:
    theirs = built(made(sizes))
    moved = theirs.parameters({name: value + torch.randn_like(value) for name, value in theirs.given.items()})
    with torch.no_grad():
        for name, parameter in theirs.model.named_parameters():
            parameter.copy_(moved[name])
    again = from_source("csordas-dnc", theirs.export_parameters(), theirs.meta)
    for (name, ours), other in zip(theirs.model.named_parameters(), again.model.parameters(), strict=True):
        torch.testing.assert_close(ours, other, msg=lambda text, name=name: f"{name}: {text}")

    theirs.import_gradients({name: torch.randn_like(value) for name, value in theirs.given.items()})
    gradients = [parameter.grad.clone() for parameter in theirs.model.parameters()]
    theirs.import_gradients(theirs.export_gradients())
    torch.testing.assert_close([parameter.grad for parameter in theirs.model.parameters()], gradients)

    with torch.no_grad():
        _, state = theirs.model(torch.randn(3, 2, theirs.model.input_size, dtype=theirs.dtype))
    returned = theirs.import_state(theirs.export_state(state)).flatten()
    assert all(torch.equal(returned[name], leaf) for name, leaf in state.flatten().items())


@pytest.mark.parametrize("option", ["mask", "dealloc_content", "link_sharpness_control"])
def test_options_that_change_the_equations_are_refused(option: str) -> None:
    with pytest.raises(DataError, match=f"option '{option}' of csordas-dnc is not supported yet"):
        replay(made(**{option: True}))


def test_two_limits_are_refused() -> None:
    with pytest.raises(DataError, match="has clip_controls = 20, but option 'clip_controller' is 5"):
        replay(made(clip_controller=5))
    with pytest.raises(DataError, match="has clip_controls = 20, but option 'clip_controller' is 0"):
        replay(made(clip_controller=None))


@pytest.mark.parametrize(
    ("sizes", "without", "message"),
    [
        ("three heads", "controller.in_to_all_0.weight", r"missing controller\.in_to_all_0\.weight\. Do"),
        ("two layers", "controller.prev_to_all_0.weight", r"missing controller\.prev_to_all_0\.weight\. Do"),
        ("two layers", "controller.in_to_all_0.weight", r"missing controller\.in_to_all_0\.weight; surplus"),
        ("layers of different widths", "controller.out_to_all_2.weight", r"missing controller\.out_to_all_2\.weight"),
    ],
)
def test_missing_arrays_are_named(sizes: str, without: str, message: str) -> None:
    arrays = made(sizes)
    del arrays[f"param/{without}"]
    with pytest.raises(DataError, match=message):
        replay(arrays)


def test_misshapen_and_surplus_arrays_are_named() -> None:
    arrays = made("two layers")
    weight = arrays["param/read_to_out.weight"]
    with pytest.raises(DataError, match=r"read_to_out\.weight must be \[3, 6\], got \[3, 5\]"):
        replay(arrays | {"param/read_to_out.weight": weight[:, 1:]})
    with pytest.raises(DataError, match=r"surplus read_to_outs\.weight \(did you mean read_to_out\.weight\?\)"):
        replay(arrays | {"param/read_to_outs.weight": weight})
