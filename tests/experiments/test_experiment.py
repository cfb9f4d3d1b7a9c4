from dataclasses import replace

import pytest
from tests.experiments.tiny import copy_config, experiment

from torchmann.core.errors import OptionError
from torchmann.experiments.experiment import Claim, Trial
from torchmann.experiments.scale import at_scale, require_scale, seeds_at
from torchmann.experiments.selection import chosen

EXPERIMENT = experiment()


def test_a_trial_is_run_or_says_why_not() -> None:
    with pytest.raises(OptionError, match="missing="):
        Trial("RNN", "copy")
    with pytest.raises(OptionError, match="missing="):
        Trial("RNN", "copy", copy_config(), missing="quoted")


def test_claims_name_trials_that_there_are() -> None:
    with pytest.raises(OptionError, match="GRU"):
        replace(EXPERIMENT, claims=(Claim("x", "GRU | copy", "RNN | copy"),))


def test_no_trial_stands_twice() -> None:
    with pytest.raises(OptionError, match="twice"):
        replace(EXPERIMENT, trials=EXPERIMENT.trials[:1] * 2, claims=())


def test_a_slug_is_the_name_of_a_directory() -> None:
    assert Trial("DAM-2 (MR, p=0.1)", "copy & recall", copy_config()).slug == "dam-2-mr-p=0.1-copy-recall"


def test_scales() -> None:
    full = copy_config(iterations=1005, batch_size=16, keep_every=4)
    assert at_scale(full, "full").settings == replace(full.settings, keep_every=None)
    short = at_scale(full, "short").settings
    assert (short.iterations, short.log_every, short.batch_size) == (101, 1, 16)
    smoke = at_scale(full, "smoke").settings
    assert (smoke.iterations, smoke.batch_size, smoke.test_batches) == (2, 2, 1)
    assert at_scale(full, "smoke").model == full.model
    assert [seeds_at(EXPERIMENT, scale) for scale in ("smoke", "short", "full")] == [1, 2, 3]
    with pytest.raises(OptionError, match="short"):
        require_scale("shrt")


def test_choosing_by_row_and_column() -> None:
    assert [trial.row for trial in chosen(EXPERIMENT, None, None)] == ["RNN", "LSTM"]
    assert [trial.row for trial in chosen(EXPERIMENT, ["lstm"], ["c*"])] == ["LSTM"]
    with pytest.raises(OptionError, match="it has RNN, LSTM"):
        chosen(EXPERIMENT, ["GRU"], None)
    with pytest.raises(OptionError, match="--tasks 'recall'"):
        chosen(EXPERIMENT, None, ["recall"])
