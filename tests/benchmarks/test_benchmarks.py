from __future__ import annotations

import json
import sys
import time

import pytest
import torch

import torchmann as tm
from torchmann.benchmarks import SUITES, WORKLOADS, Comparison, FrozenDNC, Result, contestant, measure, workload
from torchmann.benchmarks.contestants import is_captured, problem_on
from torchmann.benchmarks.measure import MOST, STATUS, interleaved
from torchmann.benchmarks.report import figure, markdown, rows, to_json
from torchmann.cli import main
from torchmann.core.errors import DataError, OptionError
from torchmann.memories import Uniform

TINY = "W1/steps=3/batch=2/hidden=8/slots=4/width=3"


def test_a_workload_is_a_name_with_changes():
    assert workload("W1") is not None and workload("W1").steps == 65
    assert vars(workload("W3/batch=2/reads=1")) == vars(WORKLOADS["W3"]) | {"batch": 2, "reads": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("W9", "unknown workload 'W9'"),
        ("W1/step=3", "unknown size of a workload 'step': did you mean 'steps'"),
        ("W1/steps", "steps must be a whole number, got ''"),
        ("W1/steps=many", "got 'many'"),
        ("W1/steps=0", "steps must be an integer of at least 1"),
    ],
)
def test_bad_workloads(text, message):
    with pytest.raises(OptionError, match=message):
        workload(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dnk", "unknown contestant 'dnk': did you mean 'dnc'"),
        ("dnc:eager,slot=3", "keyword of the contestant 'dnc': 'slot': did you mean 'slots'"),
        ("dnc:eager,slots", "slots needs a value"),
    ],
)
def test_bad_contestants(text, message):
    with pytest.raises(OptionError, match=message):
        contestant(text)


def test_an_absent_peer_is_said():
    with pytest.raises(DataError, match=r"'dnc' is not installed here.*--peers"):
        contestant("pytorch-dnc")(workload(TINY))


@pytest.mark.parametrize(
    "name", ["nn.LSTM", "frozen-dnc", "dnc:eager", "dam", "lstm:eager", "rmc,heads=1", "ntm,slots=5"]
)
def test_contestants_take_the_sizes_of_the_workload(name):
    sizes = workload(TINY)
    output = contestant(name)(sizes)(torch.rand(sizes.steps, sizes.batch, sizes.inputs))
    assert output.shape == (sizes.steps, sizes.batch, sizes.outputs)


def test_keywords_go_before_the_sizes_of_the_workload():
    model = contestant("dnc:eager,slots=7,writing=uniform:2")(workload(TINY))
    (ours,) = (module for module in model.modules() if isinstance(module, tm.DNC))
    assert ours.cell.memory.slots == 7 and ours.cell.memory.width == 3 and ours.engine == "eager"
    assert repr(ours.cell.writing) == repr(Uniform(2))


def test_the_yardstick_computes_what_our_dnc_computes():
    """At equal weights; the two differ only in an epsilon of the cosine."""
    sizes = workload(TINY + "/reads=2")
    frozen = FrozenDNC(sizes.inputs, sizes.outputs, hidden_size=8, slots=4, width=3, reads=2).double()
    ours = tm.DNC(
        sizes.inputs, 8, slots=4, width=3, reads=2, output_size=sizes.outputs, clip=None, clip_controller=None
    ).double()
    cell = ours.cell
    width = sizes.inputs + 6
    with torch.no_grad():
        cell.controller.weight_ih.copy_(frozen.gates.weight[:, :width])
        cell.controller.weight_hh.copy_(frozen.gates.weight[:, width:])
        cell.controller.bias.copy_(frozen.gates.bias).view(4, -1)[1] += 1
        cell.interface.linear.load_state_dict(frozen.interface.state_dict())
        cell.readout.linear.load_state_dict(frozen.readout.state_dict())
    order = ["read_key", "read_strength", "write_key", "write_strength", "erase", "write_vector", "free_gate"]
    assert list(cell.memory.fields) == [*order, "allocation_gate", "write_gate", "read_mode"]
    input_TBI = torch.rand(12, 2, sizes.inputs, dtype=torch.float64)
    torch.testing.assert_close(ours(input_TBI)[0], frozen(input_TBI), rtol=1e-4, atol=1e-5)


def test_rounds_are_interleaved_and_warm_up_is_left_out(monkeypatch):
    monkeypatch.setattr(sys.modules["torchmann.benchmarks.measure"], "BLOCK", 0.0)
    order: list[str] = []
    runs = {name: lambda name=name: order.append(name) for name in ("a", "b")}
    seconds = interleaved(runs, 3)
    assert order == ["a", "b"] * 5 and all(len(values) == 3 for values in seconds.values())


def test_a_fast_contestant_runs_several_times_in_a_row():
    order: list[str] = []
    runs = {"fast": lambda: order.append("fast"), "slow": lambda: (order.append("slow"), time.sleep(0.06))}
    interleaved(runs, 1)
    assert order.count("slow") == 3 and order.count("fast") == 1 + 2 * MOST


def test_ratios_are_those_of_the_same_round():
    fast, slow = Result((1.0, 2.0, 3.0), 9.0), Result((2.0, 4.0, 6.0), 9.0)
    assert fast.times(slow) == (2.0, 2.0, 2.0) and slow.times(fast)[0] == 0.5
    assert fast.median == 2.0 and fast.start_up == 7.0
    assert Result((1.0,), 1.0).times(Result((3.0,), 1.0)) == (3.0, 3.0, 3.0)


def test_measure_and_report():
    comparison = Comparison(TINY, ("nn.LSTM", "frozen-dnc"), targets=(("frozen-dnc", 0.1),))
    results = measure(workload(TINY), comparison.contestants, rounds=2)
    assert list(results) == ["nn.LSTM", "frozen-dnc"]
    head, first, second = rows(comparison, results)
    assert len(head) == len(first) == len(second) == 6 and second[4] == "0.1" and first[4] == ""
    text = markdown([(comparison, results)])
    assert "| frozen-dnc |" in text and "medians of 2 interleaved rounds" in text
    content = json.loads(json.dumps(to_json([(comparison, results)])))
    assert len(content["comparisons"][0]["results"]["frozen-dnc"]["seconds"]) == 2
    assert len(figure([(comparison, results)]).axes) == 1


def test_a_forward_pass_takes_no_gradients():
    results = measure(workload(TINY), ["dnc:eager"], kind="forward", rounds=1)
    assert results["dnc:eager"].median > 0
    with pytest.raises(OptionError, match="unknown kind of iteration"):
        measure(workload(TINY), ["dnc:eager"], kind="both")  # type: ignore[arg-type]


@pytest.mark.skipif(not STATUS.exists(), reason="the system does not tell how much memory a process has had")
@pytest.mark.slow
def test_memory_grows_with_the_steps():
    short, long = (
        measure(workload(f"W1/steps={steps}/slots=128"), ["frozen-dnc"], rounds=1, memory=True)["frozen-dnc"]
        for steps in (8, 32)
    )
    assert short.peak_bytes and long.peak_bytes and 2 < long.peak_bytes / short.peak_bytes < 8


def test_what_runs_on_which_device():
    assert is_captured("dnc:captured:eager,reads=2") and not is_captured("dnc:eager")
    assert problem_on("cpu", "dnc:captured:eager") == "a CUDA graph needs --device cuda"
    assert problem_on("cuda", "dnc:captured:eager") is None is problem_on("cpu", "dnc:fused")
    for name in ("dnc:fused", "dnc:checkpointed:fused", "dnc:captured:fused"):
        assert problem_on("cuda", name) == "its kernels run on the CPU"
    with pytest.raises(OptionError, match="'dnc:captured:eager' cannot run on cpu: a CUDA graph needs --device cuda"):
        measure(workload(TINY), ["dnc:captured:eager"])


def test_a_captured_contestant_is_built_with_its_engine():
    model = contestant("dnc:captured:eager")(workload(TINY))
    assert next(part for part in model.modules() if isinstance(part, tm.DNC)).engine == "eager"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("kind", ["train", "forward"])
def test_contestants_run_on_an_accelerator(kind):
    names = ["nn.LSTM", "frozen-dnc", "dnc:eager", "dnc:captured:eager"]
    results = measure(workload(TINY), names, kind=kind, rounds=2, memory=True, device="cuda")
    assert all(result.median > 0 and result.peak_bytes > 0 for result in results.values())


def test_what_cannot_run_is_left_out_by_name(capsys):
    line = f"bench --workload {TINY} --contestants nn.LSTM dnc:captured:eager --rounds 1"
    assert main(line.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "left out on cpu: dnc:captured:eager (a CUDA graph needs --device cuda)" in lines


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said(capsys):
    assert main(["bench", "gpu", "--device", "cuda"]) == 2
    assert "device 'cuda' is not usable here" in capsys.readouterr().err


def test_every_suite_can_be_made():
    for comparisons in SUITES.values():
        for comparison in comparisons:
            assert workload(comparison.workload)
            assert all(callable(contestant(name)) for name in comparison.contestants)
            assert {name for name, _ in comparison.targets} <= set(comparison.contestants)


def test_command(tmp_path, capsys):
    line = f"bench --workload {TINY} --contestants nn.LSTM frozen-dnc --rounds 1"
    files = {"--json": tmp_path / "a.json", "--markdown": tmp_path / "a.md", "--plot": tmp_path / "a.png"}
    given = [part for flag, path in files.items() for part in (flag, str(path))]
    assert main([*line.split(), *given]) == 0
    assert "frozen-dnc" in capsys.readouterr().out and all(path.stat().st_size for path in files.values())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dcn", "unknown suite 'dcn': did you mean 'dnc'"),
        ("--workload W1", "give suites, or both --workload and --contestants"),
        ("dnc --workload W1 --contestants dnc", "give suites, or both"),
        ("--workload W1 --contestants dkc", "unknown contestant 'dkc'"),
        ("dnc --rounds 0", "rounds must be an integer of at least 1"),
        ("dnc --peers nowhere", "--peers nowhere: there is no such folder"),
        ("peers --without pytorch-dnc frozen-dnc dnc:eager dnc:fused", "leaves no contestant"),
    ],
)
def test_mistakes(line, message, capsys):
    assert main(["bench", *line.split()]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
