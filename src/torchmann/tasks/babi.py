"""bAbI question answering (Weston et al. 2015), v1.2 en-10k, word by word: one task, several, or all 20 jointly.

Legend: T time, B batch, O output (the vocabulary), S stories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.core.errors import OptionError, require_positive
from torchmann.data.babi import ANSWER, PERIOD, TASKS, Stories, load_babi
from torchmann.tasks import scoring
from torchmann.tasks.examples import ExampleTask
from torchmann.tasks.scoring import WordLoss
from torchmann.tasks.task import Batch, Score

MAX_TRAINING_TOKENS = 800  # longer training stories are left out (dam.md 4.6); test stories are not


@dataclass(frozen=True)
class BabiBatch(Batch):
    """A `Batch` of stories that remembers which bAbI task each row is from.

    Attributes:
        source: ``[B]`` int64: number of the bAbI task, 1 to 20.
    """

    source: Tensor


class BabiTask(ExampleTask):
    """What both forms of bAbI share: the loss, the scores and the question of which story is in which split.

    Attributes:
        tasks: numbers of the bAbI tasks.
        vocabulary: of input and output.
    """

    target_kind = "classes"
    metric = "question_accuracy"
    references = ("babi",)
    tasks: tuple[int, ...]
    normalisation: WordLoss = "word"

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Softmax cross entropy (nats)."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.word_losses(output_TBO, batch.targets)

    def divisor(self, batch: Batch) -> Tensor:
        """The number of answered words, unless a keyword ``loss`` of the task says otherwise."""
        return scoring.divisor(batch.answer_mask, 1, self.normalisation)

    @torch.no_grad()
    def scores(self, output_TBO: Tensor, batch: Batch) -> dict[str, Score]:
        """``question_accuracy``, ``word_accuracy``; in a joint run also ``error_qaN``, the share of
        task N's questions that are wrong (its weight is 0 in a batch without that task)."""
        scoring.require_output(output_TBO, batch, self.output_size)
        right_TB = (output_TBO.argmax(-1) == batch.targets) & batch.answer_mask
        right_B, asked_B = scoring.count_questions(right_TB, batch.answer_mask)
        scores = {
            "question_accuracy": Score(right_B.sum().float(), asked_B.sum().float()),
            "word_accuracy": Score(right_TB.sum().float(), batch.answer_mask.sum().float()),
        }
        if len(self.tasks) > 1 and isinstance(batch, BabiBatch):
            for task in self.tasks:
                here_B = batch.source == task
                wrong, asked = ((asked_B - right_B) * here_B).sum(), (asked_B * here_B).sum()
                scores[f"error_qa{task}"] = Score(wrong.float(), asked.float())
        return scores


class Babi(BabiTask):
    """Read a story word by word; wherever the input is ``-``, answer with a word of the vocabulary.

    A story is one sequence with all its questions, an answer of several words takes several steps, and a
    question is right only if all its words are (dam.md 4.6). Training stories longer than 800 tokens are left
    out. Training batches walk through the stories in an order shuffled anew for each epoch.

    Args:
        tasks: Numbers of the bAbI tasks, 1 to 20; all 20 jointly if not given.
        data: The archive, its unpacked folder, or a folder with either under ``babi/``; by default the folder
            that downloads go to.
        allow_partial: Train on files that have fewer questions than the published ones; for short: --allow-partial.
        holdout: Share of each task's training stories, its last ones, that is kept for validation.
        loss: ``word``: mean over the answered words; ``step``: mean over batch and padded time; ``episode``:
            summed over the answered words, mean over the batch.
        buckets: Batches that are sorted by length together, so that less of a batch is padding, such as 50;
            null: the stories of a batch are random.
    """

    input_kind = "tokens"
    presets: ClassVar[dict[str, dict[str, Any]]] = {"dam": {"loss": "step", "holdout": 0.0}}

    def __init__(
        self,
        tasks: list[int] | None = None,
        data: str | None = None,
        allow_partial: bool = False,
        holdout: float = 0.1,
        loss: WordLoss = "word",
        buckets: int | None = None,
    ) -> None:
        scoring.require_normalisation(loss, WordLoss)
        self.tasks = require_choice(tasks, holdout, buckets)
        self.normalisation = loss
        found = load_babi(self.tasks, data, allow_partial)
        self.vocabulary = found.vocabulary
        self.input_size = self.output_size = len(self.vocabulary)
        self._stories = joined(self.tasks, found.stories)
        lengths_S = self._stories.offsets.diff()
        known = training_stories(self.tasks, found.stories)
        known = [part[lengths_S[part] <= MAX_TRAINING_TOKENS] for part in known]
        rows = split_stories(known, len(self._stories), holdout)
        super().__init__(rows, lengths_N=lengths_S, buckets=buckets)

    def collate(self, rows_B: Tensor) -> BabiBatch:
        """The stories with these numbers, padded to the longest."""
        stories = self._stories
        start_B = stories.offsets[rows_B]
        lengths_B = stories.offsets[rows_B + 1] - start_B
        step_T1 = torch.arange(int(lengths_B.max())).unsqueeze(1)
        valid_TB = step_T1 < lengths_B
        place_TB = torch.where(valid_TB, start_B + step_T1, 0)
        inputs_TB = stories.tokens[place_TB].long() * valid_TB
        answer_TB = inputs_TB == ANSWER
        return BabiBatch(
            inputs=inputs_TB,
            targets=stories.answers[place_TB].long() * valid_TB,
            lengths=lengths_B,
            answer_mask=answer_TB,
            # Story words only: no question, no answer, no full stop (dam.md 5, item 8, elementwise).
            refresh_mask=valid_TB & ~stories.asking[place_TB] & ~answer_TB & (inputs_TB != PERIOD),
            refresh_target=inputs_TB,
            refresh_kind="tokens",
            first_answer_step=int(answer_TB.any(1).int().argmax()),
            source=stories.source[rows_B],
        )


Files = dict[tuple[int, str], Stories]
"""The stories by bAbI task and file, ``"train"`` or ``"test"``."""


def joined(tasks: Sequence[int], files: Files) -> Stories:
    """The stories of all training files, then those of all test files."""
    return Stories.join([files[task, split] for split in ("train", "test") for task in tasks])


def training_stories(tasks: Sequence[int], files: Files) -> list[Tensor]:
    """The numbers, among those that `joined` gives, of each training file's stories."""
    counts = [len(files[task, "train"]) for task in tasks]
    return list(torch.arange(sum(counts)).split(counts))


def split_stories(known: Sequence[Tensor], count: int, holdout: float) -> dict[str, Tensor]:
    """The numbers of each split's stories.

    Args:
        known: the numbers of each training file's stories, as `training_stories` gives them.
        count: of all stories.
        holdout: share of each training file, its last stories, that is kept for validation.
    """
    kept = [len(part) - int(len(part) * holdout) for part in known]
    return {
        "train": torch.cat([part[:end] for part, end in zip(known, kept, strict=True)]),
        "validation": torch.cat([part[end:] for part, end in zip(known, kept, strict=True)]),
        "test": torch.arange(int(known[-1][-1]) + 1, count),
    }


def require_choice(tasks: list[int] | None, holdout: float, buckets: int | None) -> tuple[int, ...]:
    """The numbers of the bAbI tasks, all of them for None.

    Raises:
        OptionError: there is no such task, one comes twice, or another option is bad; before a file is read.
    """
    if not 0 <= holdout < 1:
        raise OptionError(f"holdout must be at least 0 and below 1, got {holdout}.")
    if buckets is not None:
        require_positive(buckets=buckets)
    if tasks is None:
        return tuple(TASKS)
    if not tasks or len(set(tasks)) < len(tasks) or not set(tasks) <= set(TASKS):
        raise OptionError(f"tasks must be different numbers from 1 to 20, such as [1, 2], got {tasks!r}.")
    return tuple(tasks)
