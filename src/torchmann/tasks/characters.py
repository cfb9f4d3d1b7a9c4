"""Character language modelling: predict each character of Penn Treebank, enwik8 or text8 from those before.

Legend: N characters of a split.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from torchmann.data.characters import CharacterText, Convention, load_ptb, load_wikipedia
from torchmann.tasks.stream import TextStream


class CharacterStream(TextStream):
    """Predict a text of characters; score ``bits`` is in bits per character.

    Args:
        text: in its splits.
        steps: characters of each row in a batch.
    """

    needs_data = True

    def __init__(self, text: CharacterText, steps: int) -> None:
        super().__init__(vocabulary=len(text.vocabulary), steps=steps)
        self.vocabulary = text.vocabulary
        self._splits = text.splits

    def text_length(self, split: str) -> int:
        """N."""
        return len(self._splits[split])

    def text(self, split: str, seed: int) -> Tensor:
        """The same text ``[N]`` for every seed, uint8."""
        return self._splits[split]


class PennTreebank(CharacterStream):
    """Predict Penn Treebank character by character: 5.1 million characters of 50 symbols.

    A row of a batch reads its own part of the text, and the state is carried from batch to batch, cut from the graph.
    Rare words are the five characters ``<unk>`` and numbers the character ``N``, as in the files.

    Args:
        convention: ``words``: the bytes of the word files, 5,101,618 / 399,782 / 449,945 characters; ``characters``:
            Mikolov's files of characters, with one end of line for each sentence, 5,017,482 / 393,042 / 442,423.
        steps: Characters of each row in a batch, all of which the gradient goes back through.
        data: The archive or a folder with the files; by default the folder that downloads go to.
        allow_partial: Train on files that are shorter than the published ones; for short: --allow-partial.
    """

    references = ("penn_treebank", "ptb_characters")
    presets: ClassVar[dict[str, dict[str, Any]]] = {"armin": {"convention": "words", "steps": 150}}

    def __init__(
        self,
        convention: Convention = "words",
        steps: int = 150,
        data: str | None = None,
        allow_partial: bool = False,
    ) -> None:
        super().__init__(load_ptb(convention, data, allow_partial), steps)


class Enwik8(CharacterStream):
    """Predict the first 10^8 bytes of a Wikipedia, byte by byte, markup included: 205 symbols.

    The first 90 million train, the next 5 million validate, the last 5 million test.

    Args:
        steps: Bytes of each row in a batch, all of which the gradient goes back through.
        data: The file, packed or not, or a folder with it; by default the folder that downloads go to.
        allow_partial: Train on the beginning of the file, cut in the same shares; for short: --allow-partial.
    """

    references = ("large_text",)
    presets: ClassVar[dict[str, dict[str, Any]]] = {"armin": {"steps": 150}}

    def __init__(self, steps: int = 150, data: str | None = None, allow_partial: bool = False) -> None:
        super().__init__(load_wikipedia("enwik8", data, allow_partial), steps)


class Text8(CharacterStream):
    """Predict 10^8 characters of the plain text of a Wikipedia, the letters a to z and the space: 27 symbols.

    The first 90 million train, the next 5 million validate, the last 5 million test.

    Args:
        steps: Characters of each row in a batch, all of which the gradient goes back through.
        data: The file, packed or not, or a folder with it; by default the folder that downloads go to.
        allow_partial: Train on the beginning of the file, cut in the same shares; for short: --allow-partial.
    """

    references = ("large_text",)

    def __init__(self, steps: int = 150, data: str | None = None, allow_partial: bool = False) -> None:
        super().__init__(load_wikipedia("text8", data, allow_partial), steps)
