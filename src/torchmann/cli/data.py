"""``torchmann download``: get data sets from their publishers."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from torchmann.cli.parser import Parser
from torchmann.data import DATA_SETS, data_set, download, locate
from torchmann.data.locate import VARIABLE, downloads


def download_sets(arguments: Sequence[str]) -> int:
    """``torchmann download NAME ...``."""
    parser = Parser(
        prog="torchmann download",
        description="Get data sets from their publishers or from mirrors, and check them. A broken-off attempt "
        f"is gone on with. They go to the folder that {VARIABLE} names, else to one of this user, and are found there.",
    )
    parser.add_argument("names", metavar="NAME", nargs="+", help=f"Any of {', '.join(DATA_SETS)}.")
    parser.add_argument("--folder", metavar="DIR", help="Another folder, to be given as --task.data DIR then.")
    parsed = parser.parse_args(list(arguments))
    for name in parsed.names:
        data_set(name)
    for name in parsed.names:
        paths = download(name, parsed.folder, _progress if sys.stderr.isatty() else None)
        print(f"{DATA_SETS[name].title}: {locate(name, parsed.folder or downloads())}, {_size(paths)}")
    return 0


def _size(paths: Sequence) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:,.1f} MB"


def _progress(name: str, there: int, whole: int | None) -> None:
    share = f"{there / whole:4.0%} of {whole / 1e6:,.1f} MB" if whole else f"{there / 1e6:,.1f} MB"
    print(f"\r{name}: {share}", end="\n" if there == whole else "", file=sys.stderr, flush=True)
