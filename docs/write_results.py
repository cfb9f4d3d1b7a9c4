"""Write the page of results and the queue from the stored records, which are all that they are made of:

python docs/write_results.py

Writes ``docs/results.md`` with its pictures, and ``results/QUEUE.md``.
"""

from __future__ import annotations

from pathlib import Path

from torchmann.analysis.style import save
from torchmann.core.references import REFERENCES
from torchmann.experiments import catalogue
from torchmann.experiments.comparison import places
from torchmann.experiments.curves import curves
from torchmann.experiments.experiment import Experiment
from torchmann.experiments.queue import markdown as queue_page
from torchmann.experiments.queue import queue, read_timings
from torchmann.experiments.report import as_markdown, markdown
from torchmann.experiments.results import Results

DOCS = Path(__file__).parent
RECORDS = DOCS.parent / "results"
PICTURES = "pictures/results"

HEAD = """\
# Results

Every number here is made from the records in `results/` by `python docs/write_results.py`; none is typed. A record is
one seed of one trial: its configuration, curves, scores, versions, device and date. Each section is one command, which
runs what is missing and nothing twice:

```
torchmann reproduce dam/figure2                # as the paper did
torchmann reproduce dam/figure2 --scale short  # a tenth of it
torchmann reproduce dam/figure2 --check        # the same again, compared with the records
```

Times of an iteration are by the clock. The runs so far shared their machine with other programs, and some were stopped
for a while: they say little about speed, which is compared side by side in [measured speed](../bench/RESULTS.md).

What is to be run next, and how long it takes, is in [the queue](../results/QUEUE.md). Out of scope: the temporal action
proposals of ARMIN's paper, whose set-up was never published.
"""


def overview(experiments: list[Experiment], results: Results) -> str:
    """How much of each experiment was run, as a table."""
    table = [["experiment", "paper", "", "trials run", "runs", "runs in the paper, each"]]
    for experiment in experiments:
        runs = [len(results.of(trial, "full")) for trial in experiment.runnable]
        name = f"[{experiment.name}](#{anchor(experiment)})" if any(runs) else experiment.name
        shares = [f"{sum(map(bool, runs))} of {len(runs)}", str(sum(runs)), str(experiment.seeds)]
        table.append([name, experiment.source, experiment.title, *shares])
    return as_markdown(table)


def anchor(experiment: Experiment) -> str:
    """Where the section of an experiment is on the page."""
    kept = [
        letter for letter in f"{experiment.name}: {experiment.title}".lower() if letter.isalnum() or letter in " -_"
    ]
    return "".join(kept).replace(" ", "-")


def results_page(experiments: list[Experiment], results: Results) -> str:
    """The page, whose pictures are drawn on the way."""
    parts = [HEAD, overview(experiments, results)]
    for experiment in experiments:
        found = places(experiment, results, "full")
        if not any(place.records for place in found):
            continue
        picture = f"{PICTURES}/{experiment.name.replace('/', '-')}.png"
        save(curves(experiment, found), DOCS / picture, dpi=110)
        parts.append(markdown(experiment, results, "full", picture, level=2))
    return "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def main() -> None:
    """Write both pages."""
    experiments = [catalogue.find(name) for name in catalogue.names()]
    assert all(experiment.source in REFERENCES for experiment in experiments)
    results, timings = Results(RECORDS), read_timings(RECORDS)
    (DOCS / "results.md").write_text(results_page(experiments, results), encoding="utf-8")
    (RECORDS / "QUEUE.md").write_text(queue_page(queue(experiments, results, timings), timings), encoding="utf-8")


if __name__ == "__main__":
    main()
