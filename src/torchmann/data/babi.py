"""bAbI question answering, version 1.2, en-10k: read, check, tokenise (preprocessing of dam.md 4.6), keep in a cache.

A story is one sequence with all its questions; each word of an answer is a ``-`` in the input, and the target
at that step. Legend: N tokens of all stories, S stories, W words.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.core.errors import DataError
from torchmann.data.cache import Parsed, cached
from torchmann.data.locate import locate
from torchmann.data.reading import decoded, members, require_complete

PAD, PERIOD, QUESTION, ANSWER = range(4)
SPECIAL = ("<pad>", ".", "?", "-")
TASKS = range(1, 21)
QUESTIONS = {"train": 10_000, "test": 1_000}  # in every published en-10k file

PARSER = 1
"""Version of what this file makes of the data; it grows with each change, so that nothing older comes from a cache."""

_FILE = re.compile(r"(?:^|/)en-10k(?P<partial>-qa\d+-partial)?/qa(?P<task>\d+)_.*_(?P<split>train|test)\.txt$")
_ANSWER = re.compile(r"\?([^\n]*)")  # with the numbers of supporting facts
_AGAIN = "Get bAbI v1.2 (tasks_1-20_v1-2.tar.gz) again."


@dataclass(frozen=True)
class Stories:
    """Stories as flat arrays: story s is ``[offsets[s] : offsets[s + 1]]`` of each of the first three.

    Attributes:
        tokens: ``[N]`` int16 input tokens.
        answers: ``[N]`` int16: the answer word where ``tokens`` is ``ANSWER``, else ``PAD``.
        asking: ``[N]`` bool: the words of a question up to and including its ``?``.
        offsets: ``[S + 1]`` int64.
        source: ``[S]`` int64: the bAbI task (1 to 20) that a story comes from.
    """

    tokens: Tensor
    answers: Tensor
    asking: Tensor
    offsets: Tensor
    source: Tensor

    def __len__(self) -> int:
        return len(self.source)

    @staticmethod
    def join(parts: Sequence[Stories]) -> Stories:
        """The stories of several files, one after the other."""
        lengths = torch.cat([part.offsets.diff() for part in parts])
        return Stories(
            torch.cat([part.tokens for part in parts]),
            torch.cat([part.answers for part in parts]),
            torch.cat([part.asking for part in parts]),
            F.pad(lengths.cumsum(0), (1, 0)),
            torch.cat([part.source for part in parts]),
        )


class BabiData(NamedTuple):
    """What the files hold.

    Attributes:
        vocabulary: of the words of every file found, 160 entries on the complete data, whatever tasks are chosen.
        joined_answers: every answer of several words in those files, such as ``"apple,milk"``.
        stories: of the chosen tasks, by (task, ``"train"`` or ``"test"``).
    """

    vocabulary: tuple[str, ...]
    joined_answers: tuple[str, ...]
    stories: dict[tuple[int, str], Stories]


class Source(NamedTuple):
    """The text of one file, and where it came from."""

    place: str
    text: str


Files = dict[tuple[int, str], Source]


def load_babi(tasks: Sequence[int], path: str | Path | None = None, allow_partial: bool = False) -> BabiData:
    """The stories of the chosen tasks.

    Args:
        tasks: numbers of the tasks, 1 to 20.
        path: the archive, its unpacked folder, or a folder that holds either under ``babi/``; by default where
            `locate` finds it.
        allow_partial: take files with fewer questions than the published ones.

    Raises:
        DataError: a file is missing, damaged, or partial and not allowed to be.
    """
    found = locate("babi", path)
    found = found.parent if found.name.startswith("en-10k") else found  # the stand-ins are beside it
    chosen = [(task, split) for task in sorted(tasks) for split in QUESTIONS]
    tensors, values = cached("babi", [found], lambda: _parsed(found, chosen), parser=PARSER, chosen=chosen)
    stories = {}
    for (task, split), (place, questions) in zip(chosen, values["files"], strict=True):
        require_complete(place, questions, QUESTIONS[split], "questions", allow_partial)
        stories[task, split] = Stories(*(tensors[f"{task}/{split}/{field.name}"] for field in fields(Stories)))
    return BabiData(tuple(values["vocabulary"]), tuple(values["joined_answers"]), stories)


def _parsed(found: Path, chosen: Sequence[tuple[int, str]]) -> Parsed:
    files = _read(found)
    if not files:
        raise DataError(f"{found} holds no bAbI files en-10k/qa*_train.txt or en-10k/qa*_test.txt. {_AGAIN}")
    vocabulary = _vocabulary(files)
    index = {word: number for number, word in enumerate(vocabulary) if number not in (PAD, ANSWER)}
    tensors: dict[str, Tensor] = {}
    read = []
    for task, split in chosen:
        if (task, split) not in files:
            raise DataError(f"{found} holds no {split} file of bAbI task {task} (en-10k). {_AGAIN}")
        stories, questions = _parse(files[task, split], task, index)
        tensors |= {f"{task}/{split}/{field.name}": getattr(stories, field.name) for field in fields(stories)}
        read.append((files[task, split].place, questions))
    return tensors, {"vocabulary": vocabulary, "joined_answers": _joined_answers(files), "files": read}


def _read(path: Path) -> Files:
    """All files, without the partial stand-ins of files that are there."""
    files: Files = {}
    for place, match, content in members(path, _FILE):
        key = int(match["task"]), match["split"]
        if key not in files or not match["partial"]:
            files[key] = Source(place, decoded(content, place))
    return files


def _split_words(text: str) -> list[str]:
    """Tokens as dam.md 4.6 has them, still with the numbers of lines and of supporting facts."""
    return text.lower().replace(".", " . ").replace("?", " ? ").replace(",", " ").split()


def _vocabulary(files: Files) -> tuple[str, ...]:
    words: set[str] = set()
    for source in files.values():
        words.update(_split_words(source.text))
    return SPECIAL + tuple(sorted(word for word in words if word.isalpha()))


def _joined_answers(files: Files) -> list[str]:
    after = {text for source in files.values() for text in _ANSWER.findall(source.text)}
    answers = ([word for word in _split_words(text) if word.isalpha()] for text in after)
    return sorted({",".join(answer) for answer in answers if len(answer) > 1})


class _Line(NamedTuple):
    """One encoded line: its input tokens, the words of its answer, and whether it is a question."""

    tokens: list[int]
    answers: list[int]
    asking: bool


def _encode(text: str, index: dict[str, int]) -> _Line | None:
    """Encode a line without its number; None if it is neither a statement nor an answered question."""
    words = [index[word] for word in _split_words(text) if word in index]
    if QUESTION in words:
        end = words.index(QUESTION) + 1
        answers = [word for word in words[end:] if word > ANSWER]
        return _Line(words[:end], answers, asking=True) if answers else None
    return _Line(words, [], asking=False) if words and words[-1] == PERIOD else None


def _parse(source: Source, task: int, index: dict[str, int]) -> tuple[Stories, int]:
    """The encoded stories of one file, and the number of their questions."""
    tokens, answers, asking = array("h"), array("h"), array("b")
    offsets = [0]
    questions = 0
    for story in _stories(source, index):
        questions += sum(line.asking for line in story)
        for line in story:
            tokens.extend(line.tokens + [ANSWER] * len(line.answers))
            answers.extend([PAD] * len(line.tokens) + line.answers)
            asking.extend([line.asking] * len(line.tokens) + [False] * len(line.answers))
        offsets.append(len(tokens))
    if not questions:
        raise DataError(f"{source.place} holds no question. {_AGAIN}")
    stories = Stories(
        torch.tensor(tokens, dtype=torch.int16),
        torch.tensor(answers, dtype=torch.int16),
        torch.tensor(asking, dtype=torch.bool),
        torch.tensor(offsets),
        torch.full((len(offsets) - 1,), task),
    )
    return stories, questions


def _stories(source: Source, index: dict[str, int]) -> Iterator[list[_Line]]:
    """The stories of a file; a story begins at line number 1, and its lines are numbered without a gap."""
    encoded: dict[str, _Line | None] = {}  # the same few sentences come again and again
    story: list[_Line] = []
    for place, line in enumerate(source.text.splitlines(), start=1):
        number, _, text = line.partition(" ")
        if text not in encoded:
            encoded[text] = _encode(text, index)
        content = encoded[text]
        if content is None or number not in ("1", str(len(story) + 1)):
            where = f"{source.place}, line {place}"
            raise DataError(f"{where}: not the next numbered bAbI sentence: {line[:60]!r}. {_AGAIN}")
        if number == "1" and story:
            yield story
            story = []
        story.append(content)
    if story:
        yield story
