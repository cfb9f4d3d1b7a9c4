"""bAbI question answering as a set of sentences: a step is a sentence, and each question is an example of its own.

Legend: T time, B batch, L words of a sentence, O output (the vocabulary).
"""

from __future__ import annotations

import torch
from torch import Tensor

from torchmann.core.errors import require_positive
from torchmann.data.babi import load_babi
from torchmann.data.babi_sentences import questions_of
from torchmann.tasks.babi import BabiBatch, BabiTask, joined, require_choice, split_stories, training_stories


class BabiSentences(BabiTask):
    """Read a story sentence by sentence; the last step is a question, and its answer is one class.

    Each question is an example, after the statements of its story that come before it; earlier questions are left out.
    An answer of several words, such as ``apple,milk``, is a class by itself. This is how the models on sets of
    sentences are tested; results are not those of the task ``babi``, where the words are read one by one.

    Args:
        tasks: Numbers of the bAbI tasks, 1 to 20; all 20 jointly if not given.
        data: The archive, its unpacked folder, or a folder with either under ``babi/``; by default the folder
            that downloads go to.
        allow_partial: Train on files that have fewer questions than the published ones; for short: --allow-partial.
        holdout: Share of each task's training stories, its last ones, whose questions are kept for validation.
        recent: Statements before a question that are shown, the last ones, such as 70; null: all of them.
        buckets: Batches that are sorted by length together, so that less of a batch is padding, such as 50;
            null: the questions of a batch are random.
    """

    input_kind = "sentences"

    def __init__(
        self,
        tasks: list[int] | None = None,
        data: str | None = None,
        allow_partial: bool = False,
        holdout: float = 0.1,
        recent: int | None = None,
        buckets: int | None = None,
    ) -> None:
        if recent is not None:
            require_positive(recent=recent)
        self.tasks = require_choice(tasks, holdout, buckets)
        found = load_babi(self.tasks, data, allow_partial)
        stories = joined(self.tasks, found.stories)
        questions = questions_of(stories, found.vocabulary, found.joined_answers)
        self.vocabulary = questions.vocabulary
        self.input_size = self.output_size = len(self.vocabulary)
        self.sentence_length = questions.asked.shape[1]
        self._questions = questions
        self._source_Q = stories.source[questions.story]
        before_Q = questions.stop - questions.first
        self._shown_Q = before_Q if recent is None else before_Q.clamp(max=recent)
        self.story_steps = int(self._shown_Q.max())
        parts = split_stories(training_stories(self.tasks, found.stories), len(stories), holdout)
        rows = {split: torch.isin(questions.story, part).nonzero().flatten() for split, part in parts.items()}
        super().__init__(rows, lengths_N=self._shown_Q + 1, buckets=buckets)

    def collate(self, rows_B: Tensor) -> BabiBatch:
        """The questions with these numbers, after their statements."""
        questions, shown_B = self._questions, self._shown_Q[rows_B]
        step_T1 = torch.arange(int(shown_B.max()) + 1).unsqueeze(1)
        stating_TB, asking_TB = step_T1 < shown_B, step_T1 == shown_B
        place_TB = torch.where(stating_TB, questions.stop[rows_B] - shown_B + step_T1, 0)
        stated_TBL = questions.statements[place_TB].long() * stating_TB.unsqueeze(-1)
        inputs_TBL = stated_TBL + questions.asked[rows_B].long() * asking_TB.unsqueeze(-1)
        words_TBO = torch.zeros(*stating_TB.shape, self.input_size).scatter_(-1, inputs_TBL, 1.0)
        words_TBO[..., 0] = 0  # padding is no word
        return BabiBatch(
            inputs=inputs_TBL,
            targets=questions.answers[rows_B] * asking_TB,
            lengths=shown_B + 1,
            answer_mask=asking_TB,
            refresh_mask=stating_TB,
            refresh_target=words_TBO,
            refresh_kind="binary",
            first_answer_step=int(shown_B.min()),
            source=self._source_Q[rows_B],
        )
