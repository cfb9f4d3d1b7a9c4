"""Distributed associative memory (DAM) and memory refreshing loss (MRL).

Paper: Park, Choi, Lee 2020, "Distributed associative memory network with memory refreshing loss".
Idea: several memories store several views of each input, and an attentive gate mixes what they give back. While it
listens, the network must now and then reproduce what it is shown, as one repeats what is to be remembered.

Run: python examples/dam_mrl.py
"""

import torch

import torchmann as tm
from torchmann import models, tasks
from torchmann.training import Settings, Training, evaluate

BLOCKS = 2


def main() -> None:
    """Train a DAM with two blocks without and with refreshing; look at what it answers and what it reproduces."""
    torch.set_num_threads(1)
    task = tasks.make("copy", bits=4, min_length=1, max_length=4)

    print(f"{'refreshing':12}{'bits answered':>15}{'bits reproduced':>17}")
    results = {}
    for probability in (0.0, 0.6):
        model, answered, reproduced = trained(task, probability)
        print(f"{f'p = {probability}':12}{answered:15.1%}{reproduced:17.1%}")
        results[probability] = answered, reproduced
    # The answers are as good, and what is shown can be given back at once, which nobody asked of the first network.
    assert results[0.6][0] > 0.9 and results[0.6][0] > results[0.0][0] - 0.03
    assert results[0.6][1] > 0.95 > results[0.0][1]

    # Each block has a share of every read; the shares of the blocks add up to one.
    batch = task.batch(0, 100, seed=0, split="test")
    with tm.Recorder(model) as recorder:
        model.eval()(batch.inputs, lengths=batch.lengths)
    gate_TBKR = recorder["body.cell.memory.attentive_gate"]
    print(f"\nmean shares of the {BLOCKS} blocks in what is read: {gate_TBKR.mean((0, 1, 3)).tolist()}")
    torch.testing.assert_close(gate_TBKR.sum(2), torch.ones_like(gate_TBKR[:, :, 0]))
    print("With refreshing the network gives back what it is shown, and answers no worse.")


def trained(task: tasks.Task, probability: float) -> tuple[tm.SequenceModel, float, float]:
    """A model after 500 iterations, the share of right bits in its answers, and in what it reproduces."""
    torch.manual_seed(0)
    model = models.build(
        "dam",
        input_kind=task.input_kind,
        input_size=task.input_size,
        output_size=task.output_size + (task.refresh_size if probability else 0),
        hidden_size=48,
        slots=8,
        width=12,
        blocks=BLOCKS,
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    settings = Settings(iterations=500, evaluate_every=500, refresh_probability=probability)
    for _ in Training(model, task, optimiser, settings):
        pass  # the measurements on the way
    means = evaluate(model, task, "test", batch_size=100, batches=4, device=torch.device("cpu"))
    batch = task.batch(0, 400, seed=0, split="test")
    with torch.no_grad():
        output_TBO, _ = model.eval()(batch.inputs, lengths=batch.lengths)
    right = (output_TBO > 0) == (batch.refresh_target > 0.5)  # copy: the answer and the input share their alphabet
    return model, means.scores["bit_accuracy"], right[batch.refresh_mask].float().mean().item()


if __name__ == "__main__":
    main()
