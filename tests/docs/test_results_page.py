"""The page of results and the queue say what the stored records say."""

import importlib.util
from pathlib import Path

import pytest

from torchmann.experiments import catalogue
from torchmann.experiments.queue import read_timings
from torchmann.experiments.results import Results

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def writer():  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location("write_results", ROOT / "docs/write_results.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_results_is_up_to_date(writer, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(writer, "save", lambda *_, **__: None)  # pictures are drawn anew only by the script
    experiments = [catalogue.find(name) for name in catalogue.names()]
    page = writer.results_page(experiments, Results(ROOT / "results"))
    assert page == (ROOT / "docs/results.md").read_text(), "run: python docs/write_results.py"
    for experiment in experiments:
        if f"({writer.PICTURES}/{experiment.name.replace('/', '-')}.png)" in page:
            assert (ROOT / "docs" / writer.PICTURES / f"{experiment.name.replace('/', '-')}.png").is_file()


def test_the_queue_is_up_to_date(writer) -> None:  # type: ignore[no-untyped-def]
    experiments = [catalogue.find(name) for name in catalogue.names()]
    timings = read_timings(ROOT / "results")
    page = writer.queue_page(writer.queue(experiments, Results(ROOT / "results"), timings), timings)
    assert page == (ROOT / "results/QUEUE.md").read_text(), "run: python docs/write_results.py"


def test_no_stored_record_is_of_an_earlier_declaration() -> None:
    results = Results(ROOT / "results")
    assert results.records
    for name in catalogue.names():
        assert not results.stale(catalogue.find(name), "full")


def test_every_link_of_the_overview_has_its_section(writer) -> None:  # type: ignore[no-untyped-def]
    page = (ROOT / "docs/results.md").read_text()
    headings = {line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")}
    for name in catalogue.names():
        experiment = catalogue.find(name)
        linked = f"(#{writer.anchor(experiment)})" in page
        assert linked == (f"{experiment.name}: {experiment.title}" in headings)
