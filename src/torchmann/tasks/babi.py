"""bAbI question answering (Weston et al. 2015), v1.2 en-10k: one task, several, or all 20 jointly.

Legend: T time, B batch, O output (the vocabulary).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from torchmann.core.errors import OptionError
from torchmann.data.babi import ANSWER, PERIOD, TASKS, Stories, load_babi
from torchmann.tasks import scoring
from torchmann.tasks.scoring import WordLoss
from torchmann.tasks.task import SPLITS, Batch, Score, Task, random_stream, require_request


@dataclass(frozen=True)
class BabiBatch(Batch):
    """A `Batch` of stories that remembers which bAbI task each row is from.

    Attributes:
        source: ``[B]`` int64: number of the bAbI task, 1 to 20.
    """

    source: Tensor


class Babi(Task):
    """Read a story word by word; wherever the input is ``-``, answer with a word of the vocabulary.

    A story is one sequence with all its questions, an answer of several words takes several steps, and a
    question is right only if all its words are (dam.md 4.6). Training stories longer than 800 tokens are left
    out. Training batches walk through the stories in an order shuffled anew for each epoch.

    Args:
        tasks: Numbers of the bAbI tasks, 1 to 20; all 20 jointly if not given.
        data: The archive, its unpacked folder, or a folder with either under ``babi/``; by default the folder
            named by the environment variable TORCHMANN_DATA.
        allow_partial: Train on files that have fewer questions than the published ones; for short: --allow-partial.
        holdout: Share of each task's training stories, its last ones, that is kept for validation.
        loss: ``word``: mean over the answered words; ``step``: mean over batch and padded time; ``episode``:
            summed over the answered words, mean over the batch.
    """

    input_kind = "tokens"
    target_kind = "classes"
    metric = "question_accuracy"
    references = ("babi",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"dam": {"loss": "step", "holdout": 0.0}}

    def __init__(
        self,
        tasks: list[int] | None = None,
        data: str | None = None,
        allow_partial: bool = False,
        holdout: float = 0.1,
        loss: WordLoss = "word",
    ) -> None:
        scoring.require_normalisation(loss, WordLoss)
        self.tasks = _require_tasks(tasks)
        if not 0 <= holdout < 1:
            raise OptionError(f"holdout must be at least 0 and below 1, got {holdout}.")
        self.holdout = holdout
        self.normalisation = loss
        self.vocabulary, files = load_babi(self.tasks, data, allow_partial)
        self.input_size = self.output_size = len(self.vocabulary)
        kept = {task: files[task, "train"] for task in self.tasks}
        self._stories = Stories.join([*kept.values(), *(files[task, "test"] for task in self.tasks)])
        self._rows = self._split_rows([len(part) for part in kept.values()])

    def _split_rows(self, train_counts: list[int]) -> dict[str, Tensor]:
        """Which stories each split has. The held-out ones are in a fixed random order, so that the first
        batches of a joint run already represent all its tasks."""
        rows: dict[str, list[Tensor]] = {split: [] for split in SPLITS}
        start = 0
        for count in train_counts:
            held_out = int(count * self.holdout)
            train, validation = torch.arange(start, start + count).split([count - held_out, held_out])
            rows["train"].append(train)
            rows["validation"].append(validation)
            start += count
        rows["test"].append(torch.arange(start, len(self._stories)))
        joined = {split: torch.cat(parts) for split, parts in rows.items()}
        for split in SPLITS[1:]:
            joined[split] = joined[split][_shuffled(len(joined[split]), 0, split, 0)]
        return joined

    def story_count(self, split: str) -> int:
        """The number of stories in a split."""
        require_request(0, 1, split)
        return len(self._rows[split])

    def batches(self, split: str, batch_size: int) -> int | None:
        """Batches that cover a held-out split once; None for training, which never ends."""
        require_request(0, batch_size, split)
        return None if split == "train" else -(-len(self._rows[split]) // batch_size)

    def batch(self, index: int, batch_size: int, *, seed: int, split: str = "train") -> BabiBatch:
        """See `Task.batch`; `seed` orders the training stories, the held-out splits do not depend on it."""
        require_request(index, batch_size, split)
        rows = self._rows[split]
        positions = torch.arange(index * batch_size, (index + 1) * batch_size)
        if split == "train":
            first, last = int(positions[0]) // len(rows), int(positions[-1]) // len(rows)
            order = torch.cat([_shuffled(len(rows), seed, split, epoch) for epoch in range(first, last + 1)])
            return self._collate(rows[order[positions - first * len(rows)]])
        positions = positions[positions < len(rows)]
        if not len(positions):
            hint = "batches() tells how many there are" if len(rows) else "a holdout above 0 gives it some"
            raise OptionError(f"split {split!r} has {len(rows)} stories, so no batch {index} of {batch_size}: {hint}.")
        return self._collate(rows[positions])

    def _collate(self, rows_B: Tensor) -> BabiBatch:
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

    def step_loss(self, output_TBO: Tensor, batch: Batch) -> Tensor:
        """Softmax cross entropy (nats)."""
        scoring.require_output(output_TBO, batch, self.output_size)
        return scoring.word_losses(output_TBO, batch.targets)

    def divisor(self, batch: Batch) -> Tensor:
        """As the keyword ``loss`` of the task says."""
        return scoring.divisor(batch.answer_mask, 1, self.normalisation)

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


@lru_cache(maxsize=8)
def _shuffled(count: int, seed: int, split: str, epoch: int) -> Tensor:
    return torch.randperm(count, generator=random_stream(seed, split, epoch))


def _require_tasks(tasks: list[int] | None) -> tuple[int, ...]:
    if tasks is None:
        return tuple(TASKS)
    if not tasks or len(set(tasks)) < len(tasks) or not set(tasks) <= set(TASKS):
        raise OptionError(f"tasks must be different numbers from 1 to 20, such as [1, 2], got {tasks!r}.")
    return tuple(tasks)
