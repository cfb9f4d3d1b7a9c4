"""The pages are true: their examples run, their tables are those of the library, what they name is there."""

from __future__ import annotations

import re
import runpy
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest

from torchmann import models

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
MODEL_PAGES = [page for page in PAGES if page.parent.name == "models"]
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)
NAME = re.compile(r"`((?:functional|memories|cells|models|analysis|training|tasks)\.[A-Za-z_.]+)")
LINK = re.compile(r"\]\(([^)#]*)(?:#[^)]*)?\)")
SECTIONS = [
    "Idea",
    "Equations",
    "Picture",
    "Ten lines",
    "Reported results",
    "Presets, paper and code",
    "Citation",
]


def page_id(page: Path) -> str:
    return str(page.relative_to(DOCS))


each_page = pytest.mark.parametrize("page", PAGES, ids=page_id)
each_model_page = pytest.mark.parametrize("page", MODEL_PAGES, ids=page_id)


@each_page
def test_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # an example may write a picture
    blocks = EXAMPLE.findall(page.read_text(encoding="utf-8"))
    assert blocks or page.name == "results.md"  # written from records; test_results_page compares
    script = tmp_path / "examples.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")


@each_page
def test_tables_and_citations_are_those_of_the_library(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    written = runpy.run_path(str(DOCS / "write_tables.py"))["filled"](text)
    assert text == written, "run: python docs/write_tables.py"


def test_every_model_with_presets_has_its_table() -> None:
    text = (DOCS / "presets.md").read_text(encoding="utf-8")
    for name in models.presets.DIFFERENCES:
        assert f"<!-- preset table: {name} -->\n\n{models.preset_table(name)}\n" in text


@each_page
def test_what_is_named_is_there(page: Path) -> None:
    for name in NAME.findall(page.read_text(encoding="utf-8")):
        module, *path = name.split(".")
        reduce(getattr, path, import_module(f"torchmann.{module}"))


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(EXAMPLE.sub("", page.read_text(encoding="utf-8"))):
        assert not target or (page.parent / target).is_file(), target  # none: another place of the same page


@each_page
def test_lines_are_short(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    whole = ("|", "<!--", "#", "!")  # a row, a heading or a picture is one line
    assert max(len(line) for line in lines if not line.startswith(whole)) <= 120


@each_model_page
def test_model_pages_have_every_section_and_a_picture(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[: len(SECTIONS) + 1] == sections(page)
    assert "](../pictures/" in text and "<!-- citation: " in text


def sections(page: Path) -> list[str]:
    """What is asked of a page; that of the allocation has one section more."""
    position = SECTIONS.index("Picture")
    return [*SECTIONS[:position], "All slots alike", *SECTIONS[position:]] if page.stem == "allocation" else SECTIONS


def test_every_model_has_a_page_that_uses_it() -> None:
    examples = "".join(block for page in MODEL_PAGES for block in EXAMPLE.findall(page.read_text(encoding="utf-8")))
    for name in models.names():
        assert re.search(rf"tm\.{models.model_named(name).__name__}\b", examples), name


def test_pictures_are_few_small_and_shown() -> None:
    pictures = sorted((DOCS / "pictures").glob("*.*"))
    shown = "".join(page.read_text(encoding="utf-8") for page in [*PAGES, DOCS.parent / "README.md"])
    assert len(pictures) < 30
    for picture in pictures:
        assert picture.stat().st_size < 120_000 and f"pictures/{picture.name})" in shown, picture.name
