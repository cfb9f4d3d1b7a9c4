"""Cases like recorded ones, made of random arrays, and what it means that our model agrees with an oracle on them.

An oracle is a forward pass of a source, one step after the other, written from the description of the source and
without torchmann. One in plain torch, ``oracle(arrays, meta) -> (output, states)``, gives gradients too, by autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchmann.interop import SOURCES, from_source, replay

Shapes = Mapping[str, tuple[int, ...]]
Case = dict[str, Any]
Oracle = Callable[[dict[str, Tensor], dict[str, Any]], tuple[Tensor, dict[str, Tensor]]]


def random_arrays(shapes: Shapes, seed: int) -> dict[str, np.ndarray]:
    """Normal numbers in float64."""
    generator = np.random.default_rng(seed)
    return {name: np.asarray(0.6 * generator.standard_normal(shape)) for name, shape in shapes.items()}


def random_case(
    source: str,
    sizes: Mapping[str, int],
    options: Mapping[str, Any] | None = None,
    *,
    inputs: Shapes,
    output: tuple[int, ...],
    fed: Shapes | None = None,
    constants: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Case:
    """A case of random parameters, of the shapes that the source asks for.

    Args:
        source: by its name.
        sizes: of meta.
        options: of meta.
        inputs: shapes by key, ``input`` or ``input/*``.
        output: shape of G.
        fed: shapes of what is fed as initial state, by name: numbers in (0, 0.4), which suits usages and weightings.
        constants: by name.
        seed: of the numbers.
    """
    meta = deepcopy({"source": source, "sizes": dict(sizes), "options": dict(options or {})})
    unfilled: Any = object.__new__(SOURCES[source])
    unfilled.sizes, unfilled.options, unfilled.given = meta["sizes"], meta["options"], {}
    shapes = {f"param/{name}": shape for name, shape in unfilled.shapes().items()}
    generator = np.random.default_rng(seed)
    return {
        "meta": meta,
        **random_arrays(shapes | dict(inputs) | {"G": output}, seed),
        **{f"initial_state/{name}": generator.uniform(0, 0.4, shape) for name, shape in (fed or {}).items()},
        **{f"const/{name}": np.array(value) for name, value in (constants or {}).items()},
    }


def group(arrays: Case, prefix: str) -> Case:
    """The arrays under ``prefix/``, by the rest of their key."""
    return {key.removeprefix(f"{prefix}/"): value for key, value in arrays.items() if key.startswith(f"{prefix}/")}


def agree(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Require the expected arrays among those found."""
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-11, err_msg=key)


def there_and_back(arrays: Case, *, lost: Collection[str] = ()) -> None:
    """Require parameters, gradients and states of our model to survive the way to the source's names and back.

    Args:
        arrays: a case.
        lost: leaves of our state that the source does not carry, because its next step does not look at them.
    """
    source, meta, constants = arrays["meta"]["source"], arrays["meta"], group(arrays, "const")
    theirs = from_source(source, group(arrays, "param"), meta, constants)
    ours = dict(theirs.model.named_parameters())
    for value in ours.values():
        torch.nn.init.normal_(value)
        value.grad = torch.randn_like(value)
    again = from_source(source, theirs.export_parameters(), meta, constants)
    again.import_gradients(theirs.export_gradients())
    for name, value in again.model.named_parameters():
        torch.testing.assert_close(value, ours[name], msg=lambda text, name=name: f"{name}: {text}")
        torch.testing.assert_close(value.grad, ours[name].grad, msg=lambda text, name=name: f"{name}: {text}")

    _, state = theirs.model(torch.randn(3, 2, theirs.model.input_size, dtype=theirs.dtype))
    back = theirs.import_state(theirs.export_state(state)).flatten()
    assert back.keys() == state.flatten().keys()
    for name, leaf in state.flatten().items():
        assert torch.equal(back[name], leaf) is (name not in lost), name


def agree_with(oracle: Oracle, arrays: Case, *, start_gradients: bool = True, tied: bool = False) -> None:
    """Require `replay` to give what an oracle in torch gives, gradients included, and nothing else.

    Args:
        oracle: of the case's source.
        arrays: the case.
        start_gradients: the source records gradients with respect to a fed start.
        tied: usages tie, so that the order in which slots are filled is open: states are not compared.
    """
    leaves = {key: torch.tensor(value) for key, value in arrays.items() if key != "meta"}
    wanted = {key: key.removeprefix("param/") for key in leaves if key.startswith(("param/", "input"))}
    wanted |= {key: key for key in leaves if key.startswith("initial_state/") and start_gradients}
    for key in wanted:
        leaves[key].requires_grad_()
    output, states = oracle(leaves, arrays["meta"])
    (output * leaves["G"]).sum().backward()
    expected = {"output": output} | {f"state/{name}": value for name, value in states.items()}
    for key, name in wanted.items():
        gradient = leaves[key].grad
        if gradient is not None or key.startswith("param/"):
            expected[f"grad/{name}"] = torch.zeros_like(leaves[key]) if gradient is None else gradient

    found = replay(arrays)
    assert found.keys() == expected.keys()
    compared = [key for key in expected if not (tied and key.startswith("state/"))]
    agree(found, {key: expected[key].detach().numpy() for key in compared})
