"""check_cell: the proof that a cell keeps the contract, one function for each clause.

Shapes: T time, B batch, I input, O output.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from torchmann.core.cell import Cell
from torchmann.core.errors import ShapeError
from torchmann.core.gradients import differentiable_form
from torchmann.core.noise import draw_noise
from torchmann.core.state import Tree, map_leaves, named_leaves
from torchmann.engines.recurrent import Recurrent

STEPS, BATCH = 6, 3


class ConformanceError(AssertionError):
    """A cell breaks a clause of the contract."""


def check_cell(cell: Cell) -> None:
    """Prove that `cell` keeps the contract of `Cell` and so works in everything that torchmann offers.

    Runs every function of `CHECKS` on copies; the cell itself is not changed. Takes some seconds, for it also compiles
    and exports the step.

    Raises:
        ConformanceError: names the clause that is broken, and how.
    """
    for check in CHECKS.values():
        check(cell)


def _require(holds: bool, clause: str) -> None:
    if not holds:
        raise ConformanceError(clause)


def _prepared(cell: Cell, dtype: torch.dtype = torch.float32) -> Cell:
    return copy.deepcopy(cell).to(dtype).eval()


def _model(cell: Cell, dtype: torch.dtype = torch.float32) -> Recurrent:
    return Recurrent(_prepared(cell, dtype)).eval()


def _inputs(cell: Cell, *shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, cell.input_size, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def _same(clause: str, actual: Tree, expected: Tree, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Require two trees to be equal but for rounding."""
    got, want = dict(named_leaves(actual)), dict(named_leaves(expected))
    _require(got.keys() == want.keys(), f"{clause}: leaves {sorted(got)} instead of {sorted(want)}.")
    for name, leaf in got.items():
        try:
            torch.testing.assert_close(leaf, want[name], rtol=rtol, atol=atol)
        except AssertionError as error:
            raise ConformanceError(f"{clause}, but {name or 'the value'} differs: {error}") from None


def check_step(cell: Cell) -> None:
    """The step gives ``[B, O]`` and a state of the initial state's type, shapes, dtypes, batch first."""
    cell = _prepared(cell)
    state = cell.initial_state(BATCH)
    _require(hasattr(state, "flatten"), f"the state must be decorated with @state, {type(state).__name__} is not.")
    output, after = cell(_inputs(cell, BATCH), state)
    want = (BATCH, cell.output_size)
    _require(tuple(output.shape) == want, f"the output must be [B, output_size] = {want}, not {tuple(output.shape)}.")
    _require(type(after) is type(state), f"the step must return a {type(state).__name__}, not {type(after).__name__}.")
    leaves = dict(named_leaves(after))
    for name, leaf in named_leaves(state):
        _require(leaf.dim() > 0 and leaf.shape[0] == BATCH, f"state leaf {name} must be batch first, {leaf.shape}.")
        kept = name in leaves and leaves[name].shape == leaf.shape and leaves[name].dtype == leaf.dtype
        _require(kept, f"state leaf {name} must keep its shape and dtype over a step.")


def check_pure(cell: Cell) -> None:
    """The step changes none of its arguments, keeps nothing on the module, and repeats exactly."""
    cell = _prepared(cell)
    held = _held(cell)
    x = _inputs(cell, BATCH)
    _, state = cell(x, cell.initial_state(BATCH))  # a state as met on the way
    arguments = (x.clone(), map_leaves(Tensor.clone, state))
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    first = cell(x, state)
    _same("a step must not change its arguments in place", (x, state), arguments, 0, 0)
    tensors = tuple(cell.state_dict().values())
    _same("a step must not change the module's tensors", tensors, tuple(before.values()), 0, 0)
    _require(_held(cell) == held, "a step must keep nothing on the module.")
    _same("a step without noise must repeat exactly", cell(x, state), first, 0, 0)


def _held(cell: Cell) -> dict[str, dict[str, int]]:
    """What each module holds as attributes, by identity."""
    return {path: {name: id(value) for name, value in vars(module).items()} for path, module in cell.named_modules()}


def check_rows(cell: Cell) -> None:
    """The rows of a batch do not meet, and an empty batch gives an empty result."""
    model = _model(cell)
    x = _inputs(cell, STEPS, BATCH)
    whole = model(x)
    for row in range(BATCH):
        output, state = model(x[:, row : row + 1])
        alone = (whole[0][:, row : row + 1], whole[1].select(slice(row, row + 1)))
        _same("each row must be what it is alone", (output, state), alone)
    empty, state = model(x[:, :0])
    want = (STEPS, 0, cell.output_size)
    _require(tuple(empty.shape) == want, f"an empty batch must give an output {want}, not {tuple(empty.shape)}.")
    for given in (state, model.initial_state(0)):
        _require(all(len(leaf) == 0 for _, leaf in named_leaves(given)), "an empty batch must have an empty state.")


def check_layouts(cell: Cell) -> None:
    """batch_first and unbatched input are layouts of the same; T = 0 is an error; `step` is one step."""
    model = _model(cell)
    x = _inputs(cell, STEPS, BATCH)
    whole = model(x)
    output, state = Recurrent(model.cell, batch_first=True).eval()(x.transpose(0, 1))
    _same("batch_first must only change the layout", (output.transpose(0, 1), state), whole)
    output, state = model(x[:, 0])
    one = (whole[0][:, 0], map_leaves(lambda leaf: leaf[0], whole[1]))
    _same("unbatched input must be as a batch of one", (output, state), one)
    state = None
    for t in range(STEPS):
        output, state = model.step(x[t], state, start=t)
    _same("step by step must be as the whole", (output, state), (whole[0][-1], whole[1]))
    try:
        model(x[:0])
    except ShapeError:
        return
    raise ConformanceError("an input without time steps must be an error.")


def check_lengths(cell: Cell) -> None:
    """lengths, a PackedSequence, and row by row are the same; the padding does not matter."""
    model = _model(cell)
    x, lengths = _inputs(cell, STEPS, BATCH), [STEPS - 2, STEPS, 1]
    output, state = model(x, lengths=lengths)
    for row, length in enumerate(lengths):
        alone, last = model(x[:length, row : row + 1])
        _same("lengths must be as each row by itself", output[:length, row : row + 1], alone)
        _same("a state must be frozen at its row's end", state.select(slice(row, row + 1)), last)
        _require(not output[length:, row].any(), "the output must be zero past a row's end.")
    packed, packed_state = model(pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False))
    _same("a PackedSequence must be as lengths", (pad_packed_sequence(packed)[0], packed_state), (output, state))
    polluted = x.clone()
    polluted[lengths[2] :, 2] = float("nan")
    polluted.requires_grad_()
    output, _ = model(polluted, lengths=lengths)
    (gradient,) = torch.autograd.grad(output.sum(), polluted)
    _require(bool(gradient.isfinite().all()), "what stands in the padding must not reach a gradient.")


def check_chunks(cell: Cell) -> None:
    """Chunks with the carried state and `start` are the whole."""
    model = _model(cell)
    x = _inputs(cell, STEPS, BATCH)
    whole = model(x)
    for cut in (1, STEPS // 2):
        first, state = model(x[:cut])
        second, state = model(x[cut:], state, start=cut)
        _same("chunks with carried state and start must be the whole", (torch.cat([first, second]), state), whole)


def check_reset(cell: Cell) -> None:
    """`reset` starts a row anew before that step, and leaves the others alone."""
    model = _model(cell)
    x, cut = _inputs(cell, STEPS, BATCH), STEPS // 2
    reset = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    reset[cut, 1] = True
    output, state = model(x, reset=reset)
    whole, _ = model(x)
    anew, last = model(x[cut:], start=cut)
    _same("a reset row must start anew", (output[cut:, 1], state.select([1])), (anew[:, 1], last.select([1])))
    _same("reset must not touch other rows", output[:, [0, 2]], whole[:, [0, 2]])


def check_noise(cell: Cell) -> None:
    """Training noise comes from the generator, repeats with its seed, and can be replayed; evaluation has none."""
    model = _model(cell).train()
    x = _inputs(cell, STEPS, BATCH)
    first = model(x, generator=torch.Generator().manual_seed(1))
    _same("noise must repeat with the seed", model(x, generator=torch.Generator().manual_seed(1)), first, 0, 0)
    spec = cell.noise_spec(BATCH)
    if spec is None:
        _same("a cell without noise_spec must not be random", model(x), first, 0, 0)
        return
    noise = draw_noise(spec, STEPS, generator=torch.Generator().manual_seed(1), like=x)
    _same("given noise must replay the run", model(x, noise=noise), first, 0, 0)
    evaluated = model.eval()(x)
    _same("evaluation must be deterministic", model(x), evaluated, 0, 0)


def check_vmap(cell: Cell) -> None:
    """vmap over stacked parameters gives each member what it computes alone."""
    members = [_model(cell) for _ in range(2)]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in members[1].parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    x = _inputs(cell, STEPS, BATCH)

    def run(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Any:
        return functional_call(members[0], (parameters, buffers), (x,))

    together = vmap(run)(*stack_module_state(members))
    for number, member in enumerate(members):
        mine = map_leaves(lambda leaf, number=number: leaf[number], together)
        _same("a member under vmap must be as alone", mine, member(x))


def check_compile(cell: Cell) -> None:
    """The step compiles as one graph, for every step kind of the schedule."""
    cell = _prepared(cell)
    x, state = _inputs(cell, BATCH), cell.initial_state(BATCH)
    for kind in dict.fromkeys(cell.schedule(STEPS)):
        step = cell.step_of_kind(kind)
        torch.compiler.reset()
        compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
        _same(f"the compiled step ({kind}) must compute the same", compiled(x, state), step(x, state))


def check_export(cell: Cell) -> None:
    """The step exports with a dynamic batch size, to a file and back."""
    cell = _prepared(cell)
    batch = torch.export.Dim("batch", min=2, max=1024)
    x, state = _inputs(cell, BATCH), map_leaves(Tensor.clone, cell.initial_state(BATCH))
    shapes = ({0: batch}, map_leaves(lambda leaf: {0: batch}, state))
    stored = io.BytesIO()
    torch.export.save(torch.export.export(cell, (x, state), dynamic_shapes=shapes), stored)
    stored.seek(0)
    exported = torch.export.load(stored).module()
    x, state = _inputs(cell, BATCH + 2), cell.initial_state(BATCH + 2)
    _same("the exported step must compute the same at another batch size", exported(x, state), cell(x, state))


def tie_free_state(cell: Cell, batch_size: int) -> Any:
    """A state a few random steps from the start, with every float leaf moved by a little positive noise."""
    dtype = next((leaf.dtype for _, leaf in named_leaves(cell.initial_state(1)) if leaf.is_floating_point()), None)
    x = _inputs(cell, 3, batch_size, dtype=dtype or torch.float32)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        _, state = Recurrent(cell).eval()(x)

    def move(leaf: Tensor) -> Tensor:
        if not leaf.is_floating_point():
            return leaf
        return leaf + 0.1 * torch.rand(leaf.shape, dtype=leaf.dtype, generator=generator) + 0.01

    return map_leaves(move, state)


def check_gradients(cell: Cell) -> None:
    """The gradients of input, state and parameters over two steps agree with finite differences, in float64.

    At a random state without ties, with every stop-gradient and straight-through in its differentiable form.
    """
    model = _model(cell, torch.float64)
    x, state = _inputs(cell, 2, 2, dtype=torch.float64), tie_free_state(model.cell, 2)
    leaves = [leaf for _, leaf in named_leaves(state) if leaf.is_floating_point()]
    names = [name for name, _ in model.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        floats = iter(values[: len(leaves)])
        given = map_leaves(lambda leaf: next(floats) if leaf.is_floating_point() else leaf, state)
        parameters = dict(zip(names, values[len(leaves) :], strict=True))
        output, last = functional_call(model, parameters, (x, given))
        return (output, *(leaf for _, leaf in named_leaves(last) if leaf.is_floating_point()))

    values = [value.detach().clone().requires_grad_() for value in (x, *leaves, *model.parameters())]
    with differentiable_form():
        try:
            torch.autograd.gradcheck(run, values, fast_mode=True, atol=1e-5, rtol=1e-3)
        except RuntimeError as error:
            raise ConformanceError(f"gradients must agree with finite differences: {error}") from None


def check_autocast(cell: Cell) -> None:
    """Under bf16 autocast the state keeps its dtypes, and outputs and gradients are finite."""
    model = _model(cell)
    x = _inputs(cell, STEPS, BATCH).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, state = model(x)
        loss = output.float().square().mean()
    loss.backward()
    want = {name: leaf.dtype for name, leaf in named_leaves(model.initial_state(BATCH))}
    got = {name: leaf.dtype for name, leaf in named_leaves(state)}
    _require(got == want, f"under autocast the state must keep its dtypes {want}, not {got}.")
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    finite = all(bool(value.isfinite().all()) for value in [output, x.grad, *gradients])
    _require(finite, "under bf16 autocast outputs and gradients must be finite.")


def check_meta(cell: Cell) -> None:
    """On the meta device everything has its shape, without memory."""
    model = _model(cell).to("meta")
    output, state = model(torch.empty(STEPS, BATCH, cell.input_size, device="meta"))
    _require(output.is_meta, "a model on the meta device must stay there.")
    _require(tuple(output.shape) == (STEPS, BATCH, cell.output_size), "shapes must be right on the meta device.")
    _require(all(leaf.is_meta for leaf in state.flatten().values()), "the state must be on the meta device.")


def check_storage(cell: Cell) -> None:
    """Parameters go through safetensors and back, a state through its flat form and back."""
    model = _model(cell)
    x = _inputs(cell, STEPS, BATCH)
    expected = model(x)
    restored = _model(cell)
    with torch.no_grad():
        for parameter in restored.parameters():
            parameter.fill_(float("nan"))
    stored = {name: value.contiguous() for name, value in model.state_dict().items()}
    restored.load_state_dict(load_safetensors(save_safetensors(stored)))
    _same("a restored model must compute the same", restored(x), expected)
    state = expected[1]
    again = model.initial_state(BATCH).unflatten(state.flatten())
    _same("a state must survive flatten and unflatten", again, state, 0, 0)


CHECKS: dict[str, Callable[[Cell], None]] = {
    "step": check_step,
    "pure": check_pure,
    "rows": check_rows,
    "layouts": check_layouts,
    "lengths": check_lengths,
    "chunks": check_chunks,
    "reset": check_reset,
    "noise": check_noise,
    "vmap": check_vmap,
    "compile": check_compile,
    "export": check_export,
    "gradients": check_gradients,
    "autocast": check_autocast,
    "meta": check_meta,
    "storage": check_storage,
}
"""The clauses of the contract by name."""
