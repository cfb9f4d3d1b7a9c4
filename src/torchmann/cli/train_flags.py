"""The command line of ``torchmann train``: flags made from the constructors of what is named, and files with them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

from torchmann import models, tasks
from torchmann.cli.parser import Parser, add_flags
from torchmann.core.errors import OptionError, require_positive
from torchmann.models.presets import preset_keywords
from torchmann.models.sentence_encoder import SentenceStart
from torchmann.training import OPTIMISERS, Choice, Config, Settings, optimiser_named
from torchmann.training.config import model_defaults

PARTS = {"task": "", "model": "dnc", "optimiser": "adam"}
"""What is chosen by name, and the name where none is given; the task must be."""

PRESET = "model.preset"
"""A choice that changes the defaults of other flags, as the names do."""

SHORT = {"--allow-partial": ["--task.allow_partial"]}
"""Flags that stand for others."""

LISTED = "--anneal"
"""A flag that may come several times."""

RESUMED = "everything is as its configuration says, but --iterations and --max_seconds may be raised"
"""How a run goes on."""

NOT_FLAGS = {"self", "input_size", "output_size", "parameters", "batch_first", "device", "dtype"}
"""Keywords of tasks, models and optimisers that follow from the rest of a run."""


class Line(NamedTuple):
    """What a command line asks for.

    Attributes:
        config: of the run; of several, of the first.
        seeds: how many runs are trained at once, each with a seed of its own.
        output: its directory; None makes a new one.
        overwrite: replace the run that is there.
        print_config: only print the configuration.
        dry_run: only show what would be trained.
    """

    config: Config
    seeds: int
    output: str | None
    overwrite: bool
    print_config: bool
    dry_run: bool


def train_parser(names: Mapping[str, str]) -> Parser:
    """The parser of ``torchmann train`` for the chosen task, model and optimiser.

    Args:
        names: as `chosen_names` finds them; without a task's name the flags of tasks and models are left out.
    """
    parser = Parser(
        prog="torchmann train",
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
    text = "So many runs at once in one process, with the seeds from --seed on, each in a directory of its own."
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help=text)
    parser.add_argument("--output", metavar="DIR", help="Run directory; null makes a new one below runs/.")
    parser.add_argument("--overwrite", action="store_true", help="Replace the run that is in --output.")
    parser.add_argument("--resume", metavar="RUN", help=f"Go on with a run; {RESUMED}.")
    parser.add_argument("--print-config", action="store_true", help="Only print the configuration, for --config.")
    parser.add_argument("--dry-run", action="store_true", help="Only show the model, a batch, and an estimate.")
    add_flags(parser, "training", Settings)
    if names["task"]:
        task, preset = tasks.find(names["task"])
        add_flags(parser, f"task {names['task']}", task, "task", preset, NOT_FLAGS)
        model, defaults = models.model_named(names["model"]), model_defaults(names["model"])
        if PRESET in names:
            defaults |= preset_keywords(model.__name__, names[PRESET])
        group = add_flags(parser, f"model {names['model']}", model, "model", defaults, NOT_FLAGS)
        if task.input_kind != "vector":
            width = inspect.signature(models.build).parameters["embedding_size"].default
            group.add_argument("--model.embedding_size", type=int, default=width, help="of tokens.")
            group.add_argument("--model.freeze_embedding", type=bool, default=False, help="do not train it.")
        if task.input_kind == "sentences":
            text = "what a sentence begins as, of the vectors of its words; see SentenceEncoder."
            group.add_argument("--model.sentence_start", type=SentenceStart, default="sum", help=text)
    make = optimiser_named(names["optimiser"])
    add_flags(parser, f"optimiser {names['optimiser']}", make, "optimiser", {}, NOT_FLAGS)
    return parser


def parse_train(arguments: Sequence[str]) -> Line:
    """What a command line asks for.

    Raises:
        OptionError: whatever is wrong with `arguments`.
    """
    names = chosen_names(arguments)
    if not names["task"] and not {"-h", "--help"} & set(arguments):
        raise OptionError(f"name a task with --task: {', '.join(tasks.names())}.")
    arguments = _gathered([part for argument in arguments for part in SHORT.get(argument, [argument])])
    typed = [re.sub(rf"^--({'|'.join(PARTS)})(?==|$)", r"--\1.name", argument) for argument in arguments]
    parsed = train_parser(names).parse_args(typed).as_dict()
    del parsed["config"]
    if parsed.pop("resume") is not None:
        raise OptionError("resume is a flag for the command line, not for the file of --config.")
    parsed = yaml.safe_load(yaml.safe_dump(parsed))  # a tuple becomes a list here, as it would in a file
    asked = {name: parsed.pop(name) for name in Line._fields if name != "config"}
    require_positive(seeds=asked["seeds"])
    choices = {part: Choice.from_dict(parsed.pop(part)) for part in PARTS}
    return Line(Config(**choices, settings=Settings(**parsed)), **asked)


def _gathered(arguments: Sequence[str]) -> list[str]:
    """The arguments, with all ``LISTED TEXT`` as one flag with a list of texts, unless they are given as a list."""
    rest, texts, words = [], [], iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        text = value if equals else next(words, "") if flag == LISTED else ""
        if flag != LISTED or text.startswith("[") or not text:
            rest += [word] if equals or not text else [word, text]
        else:
            texts.append(text)
    return [*rest, LISTED, json.dumps(texts)] if texts else rest


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
        if flag == "--config" and value:
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
    names = {part: str(values["name"]) for part, values in parts.items() if "name" in values}
    return names | ({PRESET: parts["model"]["preset"]} if "preset" in parts["model"] else {})
