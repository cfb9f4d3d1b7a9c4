"""Writing less often: uniform writing (UW) and cached uniform writing (CUW).

Paper: Le, Tran, Venkatesh 2019, "Learning to remember more with less memorization".
Idea: a memory of D slots that is written at each of T steps forgets what it wrote first. Written at every
T / (D + 1)-th step it remembers as much as it can, and the steps in between cost no memory work.

Run: python examples/uw_cuw.py
"""

import time

import torch

from torchmann import models, tasks
from torchmann.analysis import brute_force_bounds, optimal_write_steps
from torchmann.memories import optimal_interval
from torchmann.training import Settings, Training, evaluate

SLOTS = 2


def main() -> None:
    """Compare when to write, first by the paper's bound, then by training."""
    torch.set_num_threads(1)
    # A start flag, four vectors and an end flag, then the four vectors are asked for. Two slots are not enough to
    # keep each of six steps in a slot of its own.
    task = tasks.make("copy", bits=4, min_length=4, max_length=4)
    story = task.story_steps

    # The paper bounds how much a network remembers of its inputs on average, given the steps at which it writes.
    # Of all ways to choose two of six steps, equal intervals have the largest bound.
    bounds = brute_force_bounds(story, SLOTS, decay=0.9)
    best = max(bounds, key=bounds.__getitem__)
    print(f"best of {len(bounds)} ways to write {SLOTS} times in {story} steps: after steps {best}")
    assert best == optimal_write_steps(story, SLOTS)

    # The same DNC under three writing policies; answers are decoded with the whole memory at every step.
    interval = optimal_interval(story, SLOTS)
    results = {}
    print(f"\n{'writing':12}{'memory steps':>14}{'bit accuracy':>14}{'ms per iteration':>18}")
    for writing in ("every", f"uniform:{interval}", f"cached:{interval}"):
        accuracy, milliseconds, used = trained(task, writing)
        print(f"{writing:12}{f'{used} of {story}':>14}{accuracy:14.1%}{milliseconds:18.1f}")
        results[writing] = accuracy, milliseconds

    always, *seldom = results.values()
    assert all(accuracy > 0.9 and accuracy > always[0] - 0.05 for accuracy, _ in seldom)
    assert all(milliseconds < always[1] for _, milliseconds in seldom)
    print(f"\nHalf of the memory steps suffice: as accurate, and {1 - seldom[0][1] / always[1]:.0%} less time (UW).")


def trained(task: tasks.Task, writing: str) -> tuple[float, float, int]:
    """Accuracy, CPU time of an iteration and number of memory steps before the answers, after 600 iterations."""
    torch.manual_seed(0)
    model = models.build(
        "dnc",
        input_kind=task.input_kind,
        input_size=task.input_size,
        output_size=task.output_size,
        hidden_size=32,
        slots=SLOTS,
        width=12,
        writing=writing,
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    started = time.process_time()
    for _ in Training(model, task, optimiser, Settings(iterations=600, evaluate_every=600)):
        pass  # the measurements on the way
    milliseconds = (time.process_time() - started) / 600 * 1000
    means = evaluate(model, task, "test", batch_size=100, batches=4, device=torch.device("cpu"))
    used = sum(kind in ("dense", "cached") for kind in model.body.cell.schedule(task.story_steps))
    return means.scores["bit_accuracy"], milliseconds, used


if __name__ == "__main__":
    main()
