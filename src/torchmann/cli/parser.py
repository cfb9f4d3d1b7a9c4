"""Parsers whose flags are the keywords of constructors, and whose errors are one line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn, get_type_hints

import jsonargparse

from torchmann.core.errors import OptionError

TEXT_FORMS: dict[str, Any] = {"writing": str | None}
"""Keywords that take objects, but a text as well, which is what a flag can give."""


class Parser(jsonargparse.ArgumentParser):
    """A parser that raises its errors as an `OptionError` of one line, with the nearest flag to an unknown one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False, print_config=None)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what argparse would print."""
        unknown = re.search(r"unrecognized arguments: (-[^\s=]+)|Option '(\S+)' is not accepted", message)
        if unknown:
            flag = unknown[1] or f"--{unknown[2]}"
            known = [option.removesuffix(".name") for option in self._option_string_actions]
            message = f"unknown flag {flag}: {_hint(flag, known)}`{self.prog} --help` lists what there is."
        message = " ".join(message.split()).replace(".name", "")
        raise OptionError(_plainly(re.sub(r'Parser key "(\S+)":', r"--\1:", message))) from ex

    def format_help(self, *arguments: Any) -> str:
        """The help, with the flags as they are typed and without the marks of docstrings."""
        text = super().format_help(*arguments).replace("``", "")
        return re.sub(r"\.name NAME( *)", lambda name: f" NAME{name[1]}     " if name[1] else " NAME", text)


def _plainly(message: str) -> str:
    """A message about a value of a wrong type, in the words of the command line."""
    wrong = re.search(r"Expected an? (.*)\. Got value: (.*)", message) or re.search(
        r"Does not validate .* Subtypes: \[(.*)\] Errors: .* Given value: (.*)", message
    )
    if not wrong:
        return message
    expected = wrong[1].replace(", <class 'NoneType'>", " or null").replace("typing.", "")
    choices = re.findall(r"'(\w+)'", "".join(re.findall(r"Literal\[(.*?)\]", expected)))
    expected = re.sub(r"<class '(\w+)'>", r"\1", re.sub(r"Literal\[(.*?)\]", r"one of \1", expected))
    hint = _hint(wrong[2], choices).rstrip()
    return f"{message[: wrong.start()]}expected {expected}, got {wrong[2]}{hint and f'; {hint}'}"


def _hint(given: str, known: Collection[str]) -> str:
    nearest = get_close_matches(given, known, n=1)
    return f"did you mean {nearest[0]}? " if nearest else ""


def add_flags(
    parser: Parser,
    title: str,
    constructor: Callable[..., Any],
    prefix: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    without: Collection[str] = ("self",),
) -> Any:
    """Add a group with a flag for each keyword of `constructor` but `without`; `defaults` go before its own."""
    function = constructor
    if inspect.isclass(constructor):  # an inherited constructor is documented where it is defined
        constructor = next(cls for cls in inspect.getmro(constructor) if "__init__" in vars(cls))
        function = vars(constructor)["__init__"]
    hints, defaults = get_type_hints(function), defaults or {}
    keywords = [
        parameter.replace(
            annotation=TEXT_FORMS.get(name, hints[name]),
            default=defaults.get(name, parameter.default),
            kind=inspect.Parameter.KEYWORD_ONLY,
        )
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in without
    ]

    def flags() -> None:
        """Stands in for the constructor, with its documentation and a signature of these keywords."""

    flags.__doc__ = constructor.__doc__
    flags.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    group = parser.add_argument_group(title)
    group.add_function_arguments(flags, prefix, as_group=False)
    for keyword in keywords:
        if keyword.annotation is bool:  # the flag alone says true
            flag = parser._option_string_actions[f"--{prefix}.{keyword.name}" if prefix else f"--{keyword.name}"]
            flag.nargs, flag.const = "?", True
    return group
