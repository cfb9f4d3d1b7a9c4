"""Jobs for pools: functions of a module, as another process must be able to import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from torchmann.core import OptionError
from torchmann.training.signals import interruptible


def square(number: int) -> int:
    return number * number


def threads() -> int:
    return torch.get_num_threads()


def process() -> int:
    return os.getpid()


def talk(text: str) -> None:
    print(text)


def fail(text: str) -> None:
    raise OptionError(text)


def blunder() -> None:
    raise KeyError("slots")


def die(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


class Patient:
    """Does nothing until it is asked to end."""

    asked = False

    def interrupt(self) -> None:
        self.asked = True


def wait_to_be_asked(begun: Path) -> str:
    """Say that it has begun by making a file; return when it is asked to end, as training does."""
    patient = Patient()
    with interruptible(patient):
        begun.touch()
        while not patient.asked:
            time.sleep(0.02)
    begun.with_suffix(".kept").touch()
    return "kept"


def sleep_until_killed(begun: Path) -> None:
    begun.touch()
    time.sleep(120)


def run_out_of_time_once(begun: Path) -> str:
    """What happens to a batch job before its time is over, the first time; the second time it comes to its end."""
    if begun.exists():
        return "went on"
    begun.touch()
    os.kill(os.getpid(), signal.SIGUSR2)
    return "was not told"


def gpu() -> str | None:
    return os.environ.get("CUDA_VISIBLE_DEVICES")
