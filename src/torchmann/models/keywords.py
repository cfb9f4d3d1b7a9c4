"""The keywords of a model in the values that JSON knows, and back."""

from __future__ import annotations

import inspect
from typing import Any

from torchmann.core.errors import OptionError, unknown_name
from torchmann.memories import CachedUniform, DenseFrom, EveryStep, RandomSteps, Uniform

POLICIES = {kind.__name__: kind for kind in (EveryStep, Uniform, CachedUniform, RandomSteps, DenseFrom)}
"""The writing policies that have a plain form: the arguments of their constructors, which are their attributes too."""

BY_HAND = "store its model.state_dict(), and keep the code that makes the model"
"""What to do with a model that has no plain form."""


def encoded(name: str, value: Any) -> Any:
    """The value of a keyword in plain form.

    Raises:
        OptionError: it has none.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [encoded(name, item) for item in value]
    if type(value) in POLICIES.values():
        arguments = inspect.signature(type(value)).parameters
        return {"kind": type(value).__name__} | {each: encoded(name, getattr(value, each)) for each in arguments}
    raise OptionError(f"{name}={value!r} is neither a plain value nor one of torchmann's writing policies: {BY_HAND}.")


def decoded(value: Any) -> Any:
    """The value that `encoded` made plain.

    Raises:
        OptionError: a writing policy that there is not.
    """
    if not isinstance(value, dict):
        return value
    arguments = {name: decoded(each) for name, each in value.items()}
    kind = arguments.pop("kind", None)
    if kind not in POLICIES:
        raise unknown_name("writing policy", kind, POLICIES)
    return POLICIES[kind](**arguments)
