from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from torchmann import models
from torchmann.cli.train_flags import parse_train, train_parser
from torchmann.core import OptionError
from torchmann.training import Config, Settings


def parse(line: str) -> Config:
    return parse_train(line.split()).config


def test_the_least_that_works() -> None:
    config = parse("--task copy")
    assert (config.task.name, config.model.name, config.optimiser.name) == ("copy", "dnc", "adam")
    assert config.settings == Settings()
    assert config.model.options["hidden_size"] == 64 and config.model.options["slots"] == 16


def test_flags_are_the_typed_keywords_of_what_is_named() -> None:
    config = parse(
        "--task copy --task.bits 3 --model ntm --model.slots 8 --model.order write_first --optimiser graves "
        "--optimiser.lr 3e-3 --batch_size 2 --solved_at 0.9 --clip value"
    )
    assert config.task.options["bits"] == 3
    assert config.model.options["slots"] == 8 and config.model.options["order"] == "write_first"
    assert config.optimiser.options["lr"] == 3e-3 and config.optimiser.options["eps"] == 1e-4
    assert (config.settings.batch_size, config.settings.solved_at, config.settings.clip) == (2, 0.9, "value")
    assert not {"input_size", "output_size", "device", "dtype", "batch_first"} & config.model.options.keys()


def test_a_switch_may_stand_alone() -> None:
    config = parse("--task copy --tensorboard --model dnc --model.links --model.bias false")
    assert config.settings.tensorboard and config.model.options["links"] and not config.model.options["bias"]
    assert not parse("--task copy --tensorboard=false").settings.tensorboard


def test_schedules_come_one_by_one_or_as_a_list() -> None:
    schedules = ("temperature=linear:1:0.1:20", "gate=steps:1:1:5:9")
    assert parse(f"--task copy --anneal {schedules[0]} --seed 3 --anneal={schedules[1]}").settings.anneal == schedules
    assert parse(f"--task copy --anneal=[{','.join(schedules)}]").settings.anneal == schedules


def test_the_equals_sign_and_lists() -> None:
    config = parse("--task=babi --task.tasks=[1,2] --model=lstm")
    assert config.task.options["tasks"] == [1, 2] and config.model.options["embedding_size"] == 64


def test_a_preset_of_a_task_changes_the_defaults_but_not_what_is_given() -> None:
    options = parse("--task copy/dam --task.bits 3").task.options
    assert (options["bits"], options["max_length"], options["loss"]) == (3, 32, "step")


def test_a_preset_of_a_model_changes_the_defaults_but_not_what_is_given() -> None:
    options = parse("--task copy --model dnc --model.preset released").model.options
    assert options["strength"] == "softplus"
    options = parse("--task copy --model dnc --model.preset=released --model.strength oneplus").model.options
    assert options["strength"] == "oneplus"


def test_a_writing_policy_is_given_as_text() -> None:
    config = parse("--task copy --model dnc --model.writing uniform:3")
    schedule = config.build_model(config.build_task()).body.cell.schedule(6)
    assert [kind == "dense" for kind in schedule] == [False, False, True] * 2


@pytest.mark.parametrize("model", models.names())
def test_a_resolved_configuration_reloads_exactly(model: str, tmp_path: Path) -> None:
    config = parse(f"--task copy --model {model} --optimiser rmsprop --optimiser.eps 1e-10 --max_seconds 3")
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config.to_dict()))
    assert parse(f"--config {file}") == config
    assert Config.from_dict(yaml.safe_load(file.read_text())) == config


def test_flags_after_a_configuration_file_go_before_it(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("task: {name: recall, bits: 3}\nmodel: {name: gru}\nseed: 7\n")
    config = parse(f"--config {file} --task.bits 4")
    assert (config.task.name, config.task.options["bits"]) == ("recall", 4)
    assert config.model.name == "gru" and config.settings.seed == 7


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "name a task with --task: add"),
        ("--task coppy", "unknown task 'coppy': did you mean 'copy'"),
        ("--task copy/damn", "unknown task 'copy/damn': did you mean 'copy/dam'"),
        ("--task copy --model dncc", "unknown model 'dncc': did you mean 'dnc'"),
        ("--task copy --optimiser adm", "unknown optimiser 'adm': did you mean 'adam'"),
        ("--task copy --model.preset papr", "unknown preset of DNC 'papr': did you mean 'paper'"),
        ("--task copy --modle ntm", "unknown flag --modle: did you mean --model?"),
        ("--task copy --model.slot 3", "unknown flag --model.slot: did you mean --model.slots?"),
        ("--task copy --model lstm --model.slots 3", "unknown flag --model.slots"),
        ("--task copy --task.bit=3", "unknown flag --task.bit: did you mean --task.bits?"),
        ("--task copy --model.slots many", r"--model.slots: expected int, got many"),
        ("--task copy --clip hard", r"--clip: expected one of 'none', 'value', 'tensor', 'global', got hard"),
        ("--task copy --iterations 0", "iterations must be an integer of at least 1, got 0"),
        ("--task copy --task.bits", "argument --task.bits: expected one argument"),
        ("--task copy stray", "unrecognized arguments: stray"),
        ("--task copy --anneal", "argument --anneal: expected one argument"),
        ("--task copy --tensorboard maybe", "--tensorboard: expected bool, got maybe"),
        ("--config nowhere.yaml", "--config nowhere.yaml cannot be read: No such file or directory"),
    ],
)
def test_mistakes_are_one_line_with_the_way_out(line: str, message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        parse(line)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("task: {name: copy, bitz: 3}", "unknown flag --task.bitz: did you mean --task.bits?"),
        ("task: {name: copy}\nbatchsize: 3", "unknown flag --batchsize: did you mean --batch_size?"),
        ("task: copy", "must hold lines 'flag: value'"),
        ("task: [", "cannot be read"),
        ("task: {name: copy}\nresume: runs/one", "resume is a flag for the command line"),
    ],
)
def test_mistakes_in_a_configuration_file_too(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(content)
    with pytest.raises(OptionError, match=message) as caught:
        parse(f"--config {file}")
    assert "\n" not in str(caught.value)


def test_the_help_lists_the_flags_of_what_is_named() -> None:
    general = train_parser({"task": "", "model": "dnc", "optimiser": "adam"}).format_help()
    assert "--task NAME" in general and "--model.slots SLOTS" not in general and ".name" not in general
    specific = train_parser({"task": "copy", "model": "ntm", "optimiser": "graves"}).format_help()
    for flag in ("--task.bits", "--model.slots SLOTS", "--model.shift_range", "--optimiser.decay", "--threads"):
        assert flag in specific
    assert "number of memory slots" in specific and "``" not in specific


def test_the_help_explains_the_flags_of_an_inherited_constructor() -> None:
    text = train_parser({"task": "reverse", "model": "dnc", "optimiser": "adam"}).format_help()
    assert "Shortest sequence, in symbols." in text
