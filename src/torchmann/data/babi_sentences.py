"""bAbI as sets of sentences: each question by itself, after the statements of its story that come before it.

Legend: N tokens of all stories, S statements, Q questions, L words of the longest sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from torchmann.data.babi import ANSWER, PAD, PERIOD, QUESTION, SPECIAL, Stories

_SHIFT = len(SPECIAL) - 1  # sentences need no marks, so that the words follow the padding


@dataclass(frozen=True)
class Questions:
    """Questions in the order of the files; statement s is the same for all questions after it.

    Attributes:
        vocabulary: padding, the words, and the answers of several words, which are one class each.
        statements: ``[S, L]`` int16 words, 0 pads.
        asked: ``[Q, L]`` int16 words of the questions.
        answers: ``[Q]`` int64 places in the vocabulary.
        first: ``[Q]`` int64: the first statement of the question's story.
        stop: ``[Q]`` int64: the statement after the last one before the question.
        story: ``[Q]`` int64: number of the story.
    """

    vocabulary: tuple[str, ...]
    statements: Tensor
    asked: Tensor
    answers: Tensor
    first: Tensor
    stop: Tensor
    story: Tensor

    def __len__(self) -> int:
        return len(self.answers)


def questions_of(stories: Stories, vocabulary: tuple[str, ...], joined_answers: tuple[str, ...]) -> Questions:
    """The questions of some stories.

    Args:
        stories: as `load_babi` gives them.
        vocabulary: of their words.
        joined_answers: every answer of several words.
    """
    tokens_N = stories.tokens.long()
    ends = ((tokens_N == PERIOD) | (tokens_N == QUESTION)).nonzero().flatten()
    sentences = _sentences(tokens_N, ends)
    story = torch.searchsorted(stories.offsets, ends, right=True) - 1
    asks = tokens_N[ends] == QUESTION
    statements_before = F.pad((~asks).cumsum(0), (1, 0))
    first_of_story = torch.searchsorted(story, torch.arange(len(stories)))
    names = (*SPECIAL[:1], *vocabulary[len(SPECIAL) :], *joined_answers)
    return Questions(
        vocabulary=names,
        statements=sentences[~asks],
        asked=sentences[asks],
        answers=_answer_classes(stories.answers.long(), tokens_N, names),
        first=statements_before[first_of_story][story[asks]],
        stop=statements_before[:-1][asks],
        story=story[asks],
    )


def _sentences(tokens_N: Tensor, ends: Tensor) -> Tensor:
    """The words of each sentence, which ends at one of `ends`, padded to the longest."""
    word_N = tokens_N > ANSWER
    sentence_N = torch.searchsorted(ends, torch.arange(len(tokens_N)))
    words_before = F.pad(word_N.cumsum(0)[ends], (1, 0))
    place_N = word_N.cumsum(0) - 1 - words_before[sentence_N]
    longest = int(words_before.diff().max())
    sentences = torch.zeros(len(ends), longest, dtype=torch.int16)
    sentences[sentence_N[word_N], place_N[word_N]] = (tokens_N[word_N] - _SHIFT).short()
    return sentences


def _answer_classes(answers_N: Tensor, tokens_N: Tensor, names: tuple[str, ...]) -> Tensor:
    """The place in `names` of the answer to each question, whose words follow its question mark."""
    question_N = (tokens_N == QUESTION).cumsum(0) - 1
    answering = (answers_N != PAD).nonzero().flatten()
    question = question_N[answering]
    nth = torch.arange(len(answering)) - torch.searchsorted(question, question)
    words = torch.zeros(int(question_N[-1]) + 1, int(nth.max()) + 1, dtype=torch.int64)
    words[question, nth] = answers_N[answering] - _SHIFT
    different, which = words.unique(dim=0, return_inverse=True)
    place = {name: number for number, name in enumerate(names)}
    classes = [place[",".join(names[word] for word in answer if word)] for answer in different.tolist()]
    return torch.tensor(classes)[which]
