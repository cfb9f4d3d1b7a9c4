"""What the attentive gate of a trained DAM does while it answers (figures D.1 and D.2).

Shapes: T time, B batch, K blocks, R reads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from torchmann.analysis.recording import run
from torchmann.core import Recorder
from torchmann.experiments.experiment import Measure
from torchmann.experiments.measures import extra
from torchmann.tasks import Batch
from torchmann.training import RunDirectory, load_run
from torchmann.training.evaluate import evaluation_mode
from torchmann.training.seeds import HELD_OUT_SEED

SEQUENCES = 64

SMALLEST = Measure("weight of the least used block", extra("gate, least block", 100), "%")
EVENNESS = Measure("evenness of the gate", extra("gate, evenness", 100), "%")
"""Its entropy over that of equal weights; without a figure for one block."""


def gates(directory: RunDirectory) -> dict[str, float]:
    """The mean weight of each block over the answers, and at each step; nothing for a model without a gate.

    ``gate, evenness`` is the mean entropy of the gate over log K, and ``gate, least block`` the smallest of the blocks'
    mean weights.
    """
    _, task, model = load_run(directory)
    batch = task.batch(0, SEQUENCES, seed=HELD_OUT_SEED, split="test")
    with evaluation_mode(model), Recorder(model) as recorder:
        run(model, task, batch)
    if "attentive_gate" not in recorder:
        return {}
    return gate_numbers(recorder["attentive_gate"], batch)


def gate_numbers(gate_TBKR: Tensor, batch: Batch) -> dict[str, float]:
    """What `gates` says, of a gate ``[T, B, K, R]`` that was recorded at every step of `batch`."""
    gate_TBK = gate_TBKR.mean(-1)
    weights_K = gate_TBK[batch.answer_mask].mean(0)
    if len(weights_K) < 2:
        return {}
    entropy_TBR = -torch.special.xlogy(gate_TBKR, gate_TBKR).sum(2)
    evenness = entropy_TBR[batch.answer_mask].mean() / math.log(len(weights_K))
    numbers = {"gate, least block": float(weights_K.min()), "gate, evenness": float(evenness)}
    numbers |= {f"gate, block {block}": float(weight) for block, weight in enumerate(weights_K, 1)}
    within_TB = torch.arange(len(gate_TBK)).unsqueeze(1) < batch.lengths
    for step, (weights_BK, within_B) in enumerate(zip(gate_TBK, within_TB, strict=True)):
        for block, weight in enumerate(weights_BK[within_B].mean(0), 1):
            numbers[f"gate, block {block}, step {step}"] = float(weight)
    return numbers
