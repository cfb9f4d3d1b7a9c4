"""ARMIN: a recurrent cell that stores its own hidden vectors and reads one of them at each step.

Paper: "ARMIN: Towards a more efficient and light-weight recurrent memory network".
Idea: which slot is read is decided by the hidden state alone, without a look at the memory (auto-addressing), and
what is written takes the place of what was read. So of a step only the logits over the slots grow with the memory.

Run: python examples/armin.py
"""

import time

import torch

import torchmann as tm
from torchmann import models, tasks
from torchmann.engines import LightweightStepper
from torchmann.training import Settings, Training, evaluate


def main() -> None:
    """Train ARMIN and an LSTM of the same width, look at what is read, and time a step at growing memories."""
    torch.set_num_threads(1)
    task = tasks.make("copy", bits=4, min_length=1, max_length=4)

    # In training a slot is drawn with Gumbel noise, whose temperature falls from 1 to 0.2.
    armin, accuracy = trained(task, "armin", slots=8, anneal=("temperature=linear:1:0.2:400",))
    _, plain = trained(task, "lstm")
    print(f"bit accuracy after 400 iterations: ARMIN {accuracy:.1%}, LSTM {plain:.1%}")
    assert accuracy > 0.95 and accuracy > plain

    # In evaluation exactly one slot is read at each step.
    batch = task.batch(0, 1, seed=0, split="test")
    with tm.Recorder(armin) as recorder:
        armin.eval()(batch.inputs)
    weights_TN = recorder["body.cell.memory.read_weights"][:, 0].flatten(1)
    print(f"slots read at the {len(weights_TN)} steps of a sequence: {weights_TN.argmax(-1).tolist()}")
    assert ((weights_TN == 1).sum(-1) == 1).all()

    # One step at a time in evaluation: the time hardly grows with the memory.
    print(f"\n{'slots':>8}{'us per step':>14}")
    times = {slots: step_time(slots) for slots in (16, 256, 4096)}
    for slots, microseconds in times.items():
        print(f"{slots:8}{microseconds:14.0f}")
    print("\nARMIN remembers what an LSTM has not learnt yet, and of its step only the logits grow with the memory.")


def trained(
    task: tasks.Task, name: str, anneal: tuple[str, ...] = (), **options: int
) -> tuple[tm.SequenceModel, float]:
    """A model after 400 iterations, and its bit accuracy on test sequences."""
    torch.manual_seed(0)
    sizes = {"input_size": task.input_size, "output_size": task.output_size}
    model = models.build(name, input_kind=task.input_kind, **sizes, hidden_size=48, **options)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in Training(model, task, optimiser, Settings(iterations=400, evaluate_every=400, anneal=anneal)):
        pass  # the measurements on the way
    means = evaluate(model, task, "test", batch_size=100, batches=4, device=torch.device("cpu"))
    return model, means.scores["bit_accuracy"]


def step_time(slots: int) -> float:
    """The CPU time of a step in microseconds."""
    model = tm.ARMIN(8, 64, slots=slots).eval()
    x_1I = torch.zeros(1, 8)
    with torch.no_grad():
        stepper = LightweightStepper(model.cell, model.initial_state(1))
        started = time.process_time()
        for _ in range(300):
            stepper(x_1I)
    return (time.process_time() - started) / 300 * 1e6


if __name__ == "__main__":
    main()
