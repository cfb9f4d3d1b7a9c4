"""The Large Movie Review Dataset (IMDb): one file for each review.

Source: A. L. Maas et al. Learning word vectors for sentiment analysis. ACL 2011.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from torchmann.core.errors import DataError
from torchmann.data.cache import Parsed, cached
from torchmann.data.documents import SPLITS, TAR
from torchmann.data.locate import locate
from torchmann.data.reading import decoded, members, require_complete
from torchmann.data.tokens import PARSER, Corpus, Labelled, encode

CLASSES = ("negative", "positive")
FOLDERS = ("neg", "pos")
REVIEWS = 25_000  # in each split

_FILE = re.compile(r"(?:^|/)(?P<split>train|test)/(?P<class>neg|pos)/(?P<id>\d+)_\d+\.txt$")
_LINE_BREAK = "<br />"


def load_imdb(path: str | Path | None = None, allow_partial: bool = False, min_documents: int = 2) -> Corpus:
    """The labelled reviews, in the order of class and number: parsed once, then from the cache.

    Args:
        path: the folder ``aclImdb``, an archive of it, or a folder with either; by default ``imdb`` in the folder named
            by TORCHMANN_DATA.
        allow_partial: take fewer reviews than there are published.
        min_documents: training reviews that a word of the vocabulary must be in.

    Raises:
        DataError: reviews are missing, damaged, or fewer than published and not allowed to be.
    """
    found = _source(locate("imdb", path))
    sources = [found] if found.is_file() else [found / split / folder for split in SPLITS for folder in FOLDERS]

    def parse() -> Parsed:
        reviews = _read(found)
        train, test = (_in_order(reviews, split) for split in SPLITS)
        return encode(train, test, min_documents).parsed()

    corpus = Corpus.of_parsed(cached("imdb", sources, parse, parser=PARSER, min_documents=min_documents))
    for split, count in corpus.counts.items():
        require_complete(f"{found} ({split})", count, REVIEWS, "reviews", allow_partial)
    return corpus


def _source(found: Path) -> Path:
    """The folder with ``train`` and ``test``, or the archive."""
    if found.is_file():
        return found
    for folder in (found, found / "aclImdb"):
        if all((folder / split / name).is_dir() for split in SPLITS for name in FOLDERS):
            return folder
    for file in sorted(found.glob("aclImdb*")):
        if file.name.endswith(TAR):
            return file
    raise DataError(
        f"{found} holds neither the folder aclImdb with train/pos, train/neg, test/pos, test/neg nor an archive "
        "aclImdb*.tar.gz of it. Get it with: torchmann download imdb."
    )


Key = tuple[str, str, int]
"""Of a review: its split, the folder of its class, its number."""


def _read(found: Path) -> dict[Key, str]:
    reviews: dict[Key, str] = {}
    for place, match, content in members(found, _FILE):
        if not content.strip():
            raise DataError(f"{place} is empty. Get it again.")
        reviews[match["split"], match["class"], int(match["id"])] = decoded(content, place)
    for split in SPLITS:
        if not any(key[0] == split for key in reviews):
            raise DataError(f"{found} holds no reviews {split}/pos/*.txt or {split}/neg/*.txt. Get it again.")
    return reviews


def _in_order(reviews: dict[Key, str], split: str) -> Iterator[Labelled]:
    for key in sorted(reviews):
        if key[0] == split:
            yield Labelled(FOLDERS.index(key[1]), reviews[key].replace(_LINE_BREAK, " "))
