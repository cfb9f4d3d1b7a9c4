"""The command line's parsers: flags made from the constructors of what is named, and errors of one line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn, get_type_hints

import jsonargparse
import yaml  # type: ignore[import-untyped]

from torchmann import models, tasks
from torchmann.core.errors import OptionError
from torchmann.models.presets import preset_keywords
from torchmann.training import OPTIMISERS, Choice, Config, Settings, optimiser_named
from torchmann.training.config import model_defaults

PARTS = {"task": "", "model": "dnc", "optimiser": "adam"}
"""What is chosen by name, and the name where none is given; the task must be."""

PRESET = "model.preset"
"""A choice that changes the defaults of other flags, as the names do."""

SHORT = {"--allow-partial": ["--task.allow_partial", "true"]}
"""Flags that stand for others."""

NOT_FLAGS = {"self", "input_size", "output_size", "parameters", "batch_first", "device", "dtype"}
"""Keywords of tasks, models and optimisers that follow from the rest of a run."""

TEXT_FORMS: dict[str, Any] = {"writing": str | None}
"""Keywords that take objects, but a text as well, which is what a flag can give."""


class Parser(jsonargparse.ArgumentParser):
    """A parser that raises its errors as an `OptionError` of one line, with the nearest flag to an unknown one."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise what argparse would print."""
        unknown = re.search(r"unrecognized arguments: (-[^\s=]+)|Option '(\S+)' is not accepted", message)
        if unknown:
            flag = unknown[1] or f"--{unknown[2]}"
            known = [option.removesuffix(".name") for option in self._option_string_actions]
            nearest = get_close_matches(flag, known, n=1)
            hint = f"did you mean {nearest[0]}? " if nearest else ""
            message = f"unknown flag {flag}: {hint}`{self.prog} --help` lists what there is."
        message = re.sub(r'Parser key "(\S+)":', r"--\1:", message)
        message = re.sub(r"Expected an? (?:<class '(\w+)'>|typing\.(.*?))\. Got value:", r"expected \1\2, got", message)
        raise OptionError(" ".join(message.split()).replace(".name", "")) from ex

    def format_help(self, *arguments: Any) -> str:
        """The help, with the flags as they are typed and without the marks of docstrings."""
        text = super().format_help(*arguments).replace("``", "")
        return re.sub(r"\.name NAME( *)", lambda name: f" NAME{name[1]}     " if name[1] else " NAME", text)


def train_parser(names: Mapping[str, str]) -> Parser:
    """The parser of ``torchmann train`` for the chosen task, model and optimiser.

    Args:
        names: as `chosen_names` finds them; without a task's name the flags of tasks and models are left out.
    """
    parser = Parser(
        prog="torchmann train",
        allow_abbrev=False,
        usage="torchmann train --task NAME [--model NAME] [--optimiser NAME] [flags]",
        description="Train a model on a task, and keep all of it in a run directory. The flags of a task, a model and "
        "an optimiser are the keywords of their constructors: name them, and --help lists theirs as well.",
        epilog="Example: torchmann train --task copy --task.bits 6 --model dnc --model.slots 16 "
        "--optimiser.lr 3e-3 --solved_at 0.99",
    )
    parser.add_argument("--config", action="config", help="YAML file with any of these flags; a run has one.")
    known = {"task": tasks.names(), "model": models.names(), "optimiser": sorted(OPTIMISERS)}
    for part, default in PARTS.items():
        text = f"One of {', '.join(known[part])}."
        given: dict[str, Any] = {"default": default} if default else {"required": True}
        parser.add_argument(f"--{part}.name", metavar="NAME", help=text, **given)
    parser.add_argument("--output", metavar="DIR", help="Run directory; null makes a new one below runs/.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the run that is in --output.")
    _add_flags(parser, "training", Settings)
    if names["task"]:
        task, preset = tasks.find(names["task"])
        _add_flags(parser, f"task {names['task']}", task, "task", preset, NOT_FLAGS)
        model, defaults = models.model_named(names["model"]), model_defaults(names["model"])
        if PRESET in names:
            defaults |= preset_keywords(model.__name__, names[PRESET])
        group = _add_flags(parser, f"model {names['model']}", model, "model", defaults, NOT_FLAGS)
        if task.input_kind == "tokens":
            width = inspect.signature(models.build).parameters["embedding_size"].default
            group.add_argument("--model.embedding_size", type=int, default=width, help="of tokens.")
    make = optimiser_named(names["optimiser"])
    _add_flags(parser, f"optimiser {names['optimiser']}", make, "optimiser", {}, NOT_FLAGS)
    return parser


def parse_train(arguments: Sequence[str]) -> tuple[Config, str | None, bool]:
    """The configuration of a run, its output directory, and whether to overwrite what is there.

    Raises:
        OptionError: whatever is wrong with `arguments`.
    """
    names = chosen_names(arguments)
    if not names["task"] and not {"-h", "--help"} & set(arguments):
        raise OptionError(f"name a task with --task: {', '.join(tasks.names())}.")
    arguments = [part for argument in arguments for part in SHORT.get(argument, [argument])]
    typed = [re.sub(rf"^--({'|'.join(PARTS)})(?==|$)", r"--\1.name", argument) for argument in arguments]
    parsed = train_parser(names).parse_args(typed).as_dict()
    del parsed["config"]
    parsed = yaml.safe_load(yaml.safe_dump(parsed))  # a tuple becomes a list here, as it would in a file
    output, overwrite = parsed.pop("output"), parsed.pop("overwrite")
    choices = {part: Choice.from_dict(parsed.pop(part)) for part in PARTS}
    return Config(**choices, settings=Settings(**parsed)), output, overwrite


def chosen_names(arguments: Sequence[str]) -> dict[str, str]:
    """What comes after ``--task``, ``--model``, ``--optimiser`` and ``--model.preset``, or stands in the file after
    ``--config``; the last counts. A preset is there only if one is given.

    Raises:
        OptionError: a configuration file that cannot be read.
    """
    names = dict(PARTS)
    for argument, following in pairwise([*arguments, ""]):
        flag, equals, value = argument.partition("=")
        part, value = flag.removeprefix("--"), value if equals else following
        if flag == "--config":
            names |= _names_in(value)
        elif flag.startswith("--") and part in (*PARTS, PRESET):
            names[part] = value
    return names


def _names_in(path: str) -> dict[str, str]:
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise OptionError(f"--config {path} cannot be read: {reason}.") from error
    parts: dict[str, Any] = {part: content.get(part, {}) for part in PARTS} if isinstance(content, dict) else {"": None}
    if not all(isinstance(values, dict) for values in parts.values()):
        raise OptionError(
            f"--config {path} must hold lines 'flag: value', with 'name: ...' below 'task:' and 'model:'."
        )
    names = {part: values["name"] for part, values in parts.items() if "name" in values}
    return names | ({PRESET: parts["model"]["preset"]} if "preset" in parts["model"] else {})


def _add_flags(
    parser: Parser,
    title: str,
    constructor: Callable[..., Any],
    prefix: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    without: Collection[str] = ("self",),
) -> Any:
    """Add a group with a flag for each keyword of `constructor` but `without`; `defaults` go before its own."""
    function = constructor.__init__ if inspect.isclass(constructor) else constructor
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
    return group
