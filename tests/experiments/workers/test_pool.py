"""Jobs on every backend: results, errors, lost processes, Ctrl-C."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.experiments.workers import jobs

from torchmann.core import OptionError
from torchmann.experiments.workers.job import Ended, Job
from torchmann.experiments.workers.local import visible_gpus
from torchmann.experiments.workers.pool import run_jobs

LOCAL_SLURM = {"cluster": "local", "timeout_min": 2}


def mixed(folder: Path) -> list[Job]:
    """Jobs of which some fail and one loses its process."""
    return [
        Job("square", jobs.square, (3,)),
        Job("fail", jobs.fail, ("slots must be 4.\nIt is 3.",)),
        Job("die", jobs.die, (signal.SIGKILL,)),
        Job("blunder", jobs.blunder, log=folder / "logs" / "blunder.log"),
        Job("threads", jobs.threads),
        Job("talk", jobs.talk, ("good morning",), folder / "talk.log"),
        Job("last", jobs.square, (4,)),
    ]


def by_name(ended: Iterator[Ended]) -> dict[str, Ended]:
    return {each.job.name: each for each in ended}


def check_mixed(folder: Path, ended: dict[str, Ended], lost: str) -> None:
    """What `mixed` must come to on every backend."""
    assert ended.keys() == {job.name for job in mixed(folder)}
    results = {name: each.result for name, each in ended.items() if each.error is None}
    assert results == {"square": 9, "threads": 1, "talk": None, "last": 16}
    assert ended["fail"].error == "slots must be 4. It is 3."
    assert ended["blunder"].error == "KeyError: 'slots'"
    message = ended["die"].error or ""
    assert message.startswith(lost) and "\n" not in message
    assert message.endswith("give the same command again to go on with it, with fewer workers if memory was short.")
    assert (folder / "talk.log").read_text() == "good morning\n"
    assert "Traceback" in (folder / "logs" / "blunder.log").read_text()


def asked_once(begun: list[Path]) -> None:
    """Send this process the signal of Ctrl-C as soon as all files are there."""

    def watch() -> None:
        while not all(path.exists() for path in begun):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


def interrupted(given: list[Job], begun: list[Path], **options: Any) -> dict[str, Ended]:
    """What a pool tells of before the KeyboardInterrupt."""
    found: dict[str, Ended] = {}
    asked_once(begun)
    with pytest.raises(KeyboardInterrupt):
        for each in run_jobs(given, **options):
            found[each.job.name] = each
    return found


def test_local_jobs_end_with_a_result_or_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("ray", "submitit"):  # none of the extras is needed
        monkeypatch.setitem(sys.modules, package, None)
    given = mixed(tmp_path)
    ended = by_name(run_jobs(given))
    check_mixed(tmp_path, ended, "its process was killed by SIGKILL, as the system does when memory runs out: ")
    assert all(any(each.job is job for job in given) for each in ended.values()), "the caller's own jobs, no copies"


def test_ctrl_c_lets_local_jobs_keep_what_they_have_and_begins_no_other(tmp_path: Path) -> None:
    begun = [tmp_path / "one", tmp_path / "two"]
    given = [
        Job("listens", jobs.wait_to_be_asked, (begun[0],)),
        Job("does not", jobs.sleep_until_killed, (begun[1],)),
        Job("waits", jobs.square, (3,)),
    ]
    found = interrupted(given, begun, workers=2)
    assert found.keys() == {"listens", "does not"}
    assert found["listens"].result == "kept"
    assert found["does not"].error == "it was interrupted: give the same command again to go on with it."
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.slow
def test_a_pool_that_is_left_takes_its_processes_with_it(tmp_path: Path) -> None:
    pool = run_jobs([Job("process", jobs.process), Job("long", jobs.sleep_until_killed, (tmp_path / "x",))], workers=1)
    number = next(pool).result
    os.kill(number, 0)
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


@pytest.mark.slow
def test_a_job_outlives_its_pool_just_long_enough_to_keep_what_it_has(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from tests.experiments.workers import jobs\n"
        "from torchmann.experiments.workers.job import Job\n"
        "from torchmann.experiments.workers.pool import run_jobs\n"
        "if __name__ == '__main__':\n"
        f"    list(run_jobs([Job('listens', jobs.wait_to_be_asked, (Path({str(begun)!r}),))]))\n"
    )
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "src")])
    pool = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path})
    wait_for(begun.exists)
    pool.kill()
    pool.wait()
    wait_for(begun.with_suffix(".kept").exists)


def wait_for(what: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_workers_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert visible_gpus() == ["3", "5"]
    ended = by_name(run_jobs([Job("one", jobs.gpu), Job("two", jobs.gpu)], workers=2))
    assert {each.result for each in ended.values()} == {"3", "5"}


@pytest.mark.parametrize(
    ("backend", "options", "message"),
    [
        ("lokal", {}, "unknown backend 'lokal': did you mean 'local'?"),
        ("local", {"workers": 0}, "workers must be an integer of at least 1, got 0"),
        ("local", {"options": {"mem_gb": 3}}, "--backend local takes no options, got mem_gb"),
    ],
)
def test_what_cannot_be_is_said(backend: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message.replace("?", r"\?")):
        next(run_jobs([Job("square", jobs.square, (3,))], backend, **options))


@pytest.mark.parametrize(("backend", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_without_its_package_a_backend_names_the_command(
    backend: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "torchmann.experiments.workers.pool.find_spec", lambda name: None if name == package else find(name)
    )
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OptionError, match=rf"--backend {backend} needs the package {package}: pip install"):
        next(run_jobs([Job("square", jobs.square, (3,))], backend))


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """A cluster of this machine, for all tests of it."""
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.mark.slow
def test_ray_jobs_end_with_a_result_or_an_error(ray: None, tmp_path: Path) -> None:
    ended = by_name(run_jobs(mixed(tmp_path), "ray", workers=2))
    check_mixed(tmp_path, ended, "Ray lost it (WorkerCrashedError): ")


@pytest.mark.slow
def test_ctrl_c_lets_ray_jobs_keep_what_they_have(ray: None, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    given = [Job("listens", jobs.wait_to_be_asked, (begun,)), Job("waits", jobs.square, (3,))]
    found = interrupted(given, [begun], backend="ray")
    assert {name: each.result for name, each in found.items()} == {"listens": "kept"}


@pytest.mark.slow
def test_options_that_ray_does_not_know_are_one_line(ray: None) -> None:
    with pytest.raises(OptionError, match=r"Ray refuses this: .*num_gpu") as refused:
        next(run_jobs([Job("square", jobs.square, (3,))], "ray", options={"num_gpu": 1}))
    assert "\n" not in str(refused.value)


def test_slurm_jobs_in_this_process(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    given = [job for job in mixed(tmp_path) if job.name != "die"]
    ended = by_name(run_jobs(given, "slurm", workers=2, folder=tmp_path / "slurm", options={"cluster": "debug"}))
    assert {name: each.result for name, each in ended.items() if each.error is None} == {
        "square": 9,
        "threads": 1,
        "talk": None,
        "last": 16,
    }
    assert ended["fail"].error == "slots must be 4. It is 3." and ended["blunder"].error == "KeyError: 'slots'"


def test_slurm_says_where_it_cannot_run_and_what_it_does_not_know(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    for options in ({"cluster": "local", "memory": 3}, {"cluster": "lokal"}):
        with pytest.raises(OptionError, match="submitit refuses this: ") as refused:
            next(run_jobs([Job("square", jobs.square, (3,))], "slurm", folder=tmp_path, options=options))
        assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_a_slurm_job_that_is_killed_is_lost_and_one_that_runs_out_of_time_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    given = [
        Job("die", jobs.die, (signal.SIGKILL,)),
        Job("late", jobs.run_out_of_time_once, (tmp_path / "begun",)),
    ]
    ended = by_name(run_jobs(given, "slurm", workers=2, folder=tmp_path / "slurm", options=LOCAL_SLURM))
    assert ended["late"].result == "went on"
    assert (ended["die"].error or "").startswith("batch job ") and "ended without a result" in ended["die"].error


@pytest.mark.slow
def test_ctrl_c_lets_slurm_jobs_keep_what_they_have(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    begun = tmp_path / "begun"
    given = [Job("listens", jobs.wait_to_be_asked, (begun,)), Job("waits", jobs.square, (3,))]
    found = interrupted(given, [begun], backend="slurm", folder=tmp_path / "slurm", options=LOCAL_SLURM)
    assert {name: each.result for name, each in found.items()} == {"listens": "kept"}
