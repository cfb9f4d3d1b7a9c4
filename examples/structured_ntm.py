"""Structured memory: an NTM that writes one memory and reads another, smoother one.

Paper: Zhang, Yu, Zhou 2015, "Structured memory for neural Turing machines".
Idea: what an NTM reads can jump when a write goes wrong. NTM2 has two memories, each with a write head of its own;
the second mixes itself with the first, and only the second is read.

Run: python examples/structured_ntm.py
"""

import torch

import torchmann as tm
from torchmann import models, tasks
from torchmann.training import Settings, Training, evaluate

CPU = torch.device("cpu")


def main() -> None:
    """Train an NTM and an NTM2 to copy, then ask for sequences of twice the length."""
    torch.set_num_threads(1)
    task = tasks.make("copy")  # one to six vectors of six bits
    longer = task.longer()["length 12"]  # exactly twelve, which training never shows

    print(f"{'model':8}{'iterations':>12}{'bit accuracy':>14}{'at length 12':>14}")
    for name in ("ntm", "ntm2"):
        model, iterations = trained(task, name)
        accuracies = [
            evaluate(model, sized, "test", batch_size=100, batches=4, device=CPU).scores["bit_accuracy"]
            for sized in (task, longer)
        ]
        print(f"{name:8}{iterations:12}{accuracies[0]:14.1%}{accuracies[1]:14.1%}")
        assert accuracies[0] > 0.9
    assert accuracies[1] > 0.9, "NTM2 walks on through its memory"

    # What mixes the memories: M_2(t) = a M~_2(t) + b M_1(t); both numbers started at 0.5 and were learned.
    a, b = model.body.cell.memory.mixing.flatten().tolist()
    print(f"\nNTM2 keeps {a:.2f} of its second memory and takes {b:.2f} of the first.")

    # The weightings show how: at each answer the read head is one slot further.
    batch = longer.batch(0, 1, seed=0, split="test")
    with tm.Recorder(model) as recorder:
        model.eval()(batch.inputs)
    slots_T = recorder["body.cell.memory.read_weights"][:, 0].flatten(1).argmax(-1)
    print(f"slots read while answering: {slots_T[batch.answer_mask[:, 0]].tolist()}")


def trained(task: tasks.Task, name: str) -> tuple[tm.SequenceModel, int]:
    """A model, and how many iterations it took to 99 % on validation sequences (at most 1,000)."""
    torch.manual_seed(0)
    model = models.build(
        name,
        input_kind=task.input_kind,
        input_size=task.input_size,
        output_size=task.output_size,
        hidden_size=64,
        slots=16,
        width=16,
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    training = Training(model, task, optimiser, Settings(iterations=1000, evaluate_every=50, solved_at=0.99))
    for _ in training:
        pass  # the measurements on the way
    return model, training.iteration


if __name__ == "__main__":
    main()
