"""The composition differs from the papers' models by its parts alone."""

from __future__ import annotations

from torchmann.experiments import catalogue
from torchmann.experiments.papers import dam, own
from torchmann.experiments.results import identity


def test_the_papers_own_models_are_the_runs_of_figure_2() -> None:
    figure, composition = (
        {trial.key: identity(trial.config) for trial in found.runnable if trial.config is not None}
        for found in (dam.figure2(), catalogue.find("own/composition"))
    )
    shared = {key for key in figure if not key.startswith("DAM-3")}
    assert {key: composition[key] for key in shared} == {key: figure[key] for key in shared}


def test_the_composition_has_every_part_that_a_row_has_by_itself() -> None:
    composition = own.composition()
    for task in ("copy", "recall"):
        whole = composition.trial(f"{own.CACHED_ONE} | {task}").config
        assert whole is not None
        for row in ("DAM-2, softmax allocation", "DAM-2, cached writing", "DAM-2"):
            part = composition.trial(f"{row} | {task}").config
            assert part is not None
            assert dict(whole.model.options) | dict(part.model.options) == whole.model.options
            assert part.settings.refresh_probability == 0
        assert whole.settings.refresh_probability == 0.1


def test_an_item_of_recall_is_written_at_once() -> None:
    cell = own.composition().trial(f"{own.UNIFORM_ONE} | recall").config
    assert cell is not None
    task = cell.build_task()
    assert task.item_length + 1 == own.INTERVAL  # type: ignore[attr-defined]
