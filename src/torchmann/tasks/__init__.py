"""Tasks by name: what a model is trained on. A new task is one file and one line in `TASKS`."""

from __future__ import annotations

import inspect
from typing import Any

from torchmann.core.errors import unknown_name
from torchmann.tasks.babi import Babi, BabiBatch
from torchmann.tasks.babi_sentences import BabiSentences
from torchmann.tasks.characters import CharacterStream, Enwik8, PennTreebank, Text8
from torchmann.tasks.check import check_task
from torchmann.tasks.convex_hull import ConvexHull
from torchmann.tasks.copy import Copy
from torchmann.tasks.documents import AGNews, DBPedia, DocumentTask, IMDb, YahooAnswers, YelpFull, YelpPolarity
from torchmann.tasks.examples import ExampleTask
from torchmann.tasks.markov import MarkovText
from torchmann.tasks.ngram import NGram
from torchmann.tasks.nth_farthest import NthFarthest
from torchmann.tasks.pixels import PermutedMnist, PixelMnist
from torchmann.tasks.priority_sort import PrioritySort
from torchmann.tasks.recall import AssociativeRecall
from torchmann.tasks.repeat_copy import RepeatCopy
from torchmann.tasks.representation_recall import RepresentationRecall
from torchmann.tasks.sinusoid import Sinusoid
from torchmann.tasks.stream import StreamTask, TextStream
from torchmann.tasks.symbols import Add, Double, Max, Reverse, SymbolCopy, SymbolTask
from torchmann.tasks.task import SPLITS, Batch, Score, Task, random_stream

TASKS: dict[str, type[Task]] = {
    "copy": Copy,
    "repeat-copy": RepeatCopy,
    "recall": AssociativeRecall,
    "priority-sort": PrioritySort,
    "ngram": NGram,
    "symbol-copy": SymbolCopy,
    "double": Double,
    "reverse": Reverse,
    "add": Add,
    "max": Max,
    "sinusoid": Sinusoid,
    "representation-recall": RepresentationRecall,
    "nth-farthest": NthFarthest,
    "convex-hull": ConvexHull,
    "markov": MarkovText,
    "babi": Babi,
    "babi-sentences": BabiSentences,
    "ptb": PennTreebank,
    "enwik8": Enwik8,
    "text8": Text8,
    "mnist": PixelMnist,
    "pmnist": PermutedMnist,
    "ag-news": AGNews,
    "imdb": IMDb,
    "yelp-polarity": YelpPolarity,
    "yelp-full": YelpFull,
    "dbpedia": DBPedia,
    "yahoo-answers": YahooAnswers,
}


def names() -> list[str]:
    """The names that `make` takes: every task, and every preset as ``task/preset``."""
    presets = [f"{name}/{preset}" for name, cls in TASKS.items() for preset in cls.presets]
    return sorted([*TASKS, *presets])


def find(name: str) -> tuple[type[Task], dict[str, Any]]:
    """The class of a task and the constructor keywords of its preset, if the name has one.

    Args:
        name: a task such as ``"copy"``, or a task and a preset such as ``"copy/dam"``.
    """
    task, slash, preset = name.partition("/")
    if task not in TASKS:
        raise unknown_name("task", name, names())
    presets = TASKS[task].presets
    if slash and preset not in presets:
        raise unknown_name("task", name, [task, *(f"{task}/{known}" for known in presets)])
    return TASKS[task], dict(presets[preset]) if slash else {}


def make(name: str, **options: Any) -> Task:
    """Build a task by name; `options` are its constructor's keywords and go before a preset's."""
    cls, keywords = find(name)
    known = inspect.signature(cls).parameters
    for option in options:
        if option not in known:
            raise unknown_name(f"option of task {name!r}:", option, known)
    return cls(**keywords | options)


__all__ = [
    "Task",
    "Batch",
    "Score",
    "SPLITS",
    "TASKS",
    "names",
    "find",
    "make",
    "check_task",
    "random_stream",
    "Copy",
    "RepeatCopy",
    "AssociativeRecall",
    "PrioritySort",
    "NGram",
    "SymbolTask",
    "SymbolCopy",
    "Double",
    "Reverse",
    "Add",
    "Max",
    "Sinusoid",
    "RepresentationRecall",
    "NthFarthest",
    "ConvexHull",
    "StreamTask",
    "TextStream",
    "MarkovText",
    "Babi",
    "BabiBatch",
    "BabiSentences",
    "ExampleTask",
    "CharacterStream",
    "PennTreebank",
    "Enwik8",
    "Text8",
    "PixelMnist",
    "PermutedMnist",
    "DocumentTask",
    "AGNews",
    "IMDb",
    "YelpPolarity",
    "YelpFull",
    "DBPedia",
    "YahooAnswers",
]
