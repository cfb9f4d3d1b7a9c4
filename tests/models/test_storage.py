"""Models as files: what is loaded computes what was saved, and whatever is wrong with a file is one sentence."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import torchmann as tm
from torchmann.core import DataError, OptionError
from torchmann.core.packing import pack, unpack
from torchmann.memories import CachedUniform, DenseFrom, DNCMemory, RandomSteps, Uniform
from torchmann.models import build, model_named, names, preset_names
from torchmann.models.presets import DIFFERENCES
from torchmann.models.storage import packed

SIZES = {"hidden_size": 8, "slots": 8, "width": 8}


@st.composite
def variants(draw: Callable[..., Any], name: str) -> nn.Module:
    """A model of the registry by any of its presets, alone or between an embedding and a head."""
    make = model_named(name)
    presets = preset_names(make.__name__) if make.__name__ in DIFFERENCES else []
    preset = {"preset": draw(st.sampled_from(presets))} if presets else {}
    sizes = {key: value for key, value in SIZES.items() if key in inspect.signature(make).parameters}
    kind = draw(st.sampled_from(["vector", "tokens"]))
    model = build(name, input_kind=kind, input_size=5, output_size=3, **sizes, **preset)
    model = model.body if draw(st.booleans()) else model
    return model.double() if draw(st.booleans()) else model


def runs_of(model: nn.Module) -> list[Tensor]:
    """What a model gives in training and in evaluation mode: outputs, states, gradients."""
    vectors = isinstance(model, tm.Recurrent) or isinstance(model.encoder, nn.Identity)
    size = model.input_size if isinstance(model, tm.Recurrent) else 5
    dtype = next(model.parameters()).dtype
    noise = torch.Generator().manual_seed(3)
    inputs = torch.randn(4, 2, size, generator=noise, dtype=dtype)
    if not vectors:
        inputs = torch.randint(5, (4, 2), generator=noise)
    found: list[Tensor] = []
    for mode in (True, False):
        output, state = model.train(mode)(inputs, generator=torch.Generator().manual_seed(4))
        output.sum().backward()
        found += [output, *(leaf for _, leaf in state.flatten().items())]
        found += [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return found


@pytest.mark.parametrize("name", names())
@settings(max_examples=3)
@given(data=st.data())
def test_a_loaded_model_computes_the_same_to_the_bit(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = data.draw(variants(name))
    path = tmp_path_factory.mktemp("models") / "model.safetensors"
    tm.save(model, path)
    before = torch.get_rng_state()
    loaded = tm.load(path)
    assert torch.equal(torch.get_rng_state(), before)
    assert type(loaded) is type(model) and packed(loaded) == packed(model)
    for ours, theirs in zip(runs_of(model), runs_of(loaded), strict=True):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)


def dnc(**options: Any) -> tm.DNC:
    return tm.DNC(3, 4, slots=5, width=3, **options)


@pytest.mark.parametrize(
    "writing",
    [
        None,
        "cached:3",
        Uniform(5, positions="released", hold="write"),
        CachedUniform(3, attention_size=7),
        DenseFrom(RandomSteps(0.3, seed=2), 4),
    ],
)
def test_writing_policies_come_back(writing: Any, tmp_path: Path) -> None:
    model = dnc(writing=writing)
    tm.save(model, tmp_path / "model")
    assert tm.load(tmp_path / "model").cell.schedule(20) == model.cell.schedule(20)


def test_the_file_holds_what_a_preset_stood_for(tmp_path: Path) -> None:
    """A preset or default that changes in a later version does not change a stored model."""
    tm.save(dnc(preset="uw"), tmp_path / "model")
    values = unpack(tmp_path / "model")[1]
    assert values["config"]["similarity"] == "cosine_clamped" and values["config"]["reads"] == 1
    assert not {"preset", "engine", "device", "dtype"} & values["config"].keys()
    assert values["versions"]["torchmann"] == tm.__version__ and "Graves" in "".join(values["citation"])


def test_other_programs_can_read_the_weights(tmp_path: Path) -> None:
    model = dnc()
    tm.save(model, tmp_path / "model")
    other = dnc()
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "model"))
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))


def test_device_and_precision_are_the_callers_choice(tmp_path: Path) -> None:
    model = dnc().half()
    tm.save(model, tmp_path / "model")
    assert {tensor.dtype for tensor in tm.load(tmp_path / "model").state_dict().values()} == {torch.float16}
    double = tm.load(tmp_path / "model", device="cpu", dtype=torch.float64)
    assert double(torch.zeros(2, 1, 3, dtype=torch.float64))[0].dtype == torch.float64
    with pytest.raises(OptionError, match="unknown engine 'egaer': did you mean 'eager'"):
        tm.load(tmp_path / "model", engine="egaer")


class MyDNC(tm.DNC):
    pass


class Mine:
    def schedule(self, length: int, start: int = 0) -> list[str]:
        return ["dense"] * length


def composed() -> nn.Module:
    memory = DNCMemory(5, 3)
    return tm.Recurrent(tm.MemoryAugmentedCell(tm.cells.GRUCell(3 + memory.read_size, 4), memory))


def changed() -> nn.Module:
    model = dnc()
    model.cell.readout = nn.Sequential(model.cell.readout, nn.Tanh())
    return model


def widened() -> nn.Module:
    model = build("lstm", input_kind="vector", input_size=3, output_size=2, hidden_size=4)
    model.head.weight = nn.Parameter(torch.zeros(7, 4))
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (composed, "a Recurrent that is not made by"),
        (lambda: nn.LSTM(3, 4), "a LSTM that is not made by"),
        (lambda: MyDNC(3, 4, slots=5, width=3), "a MyDNC that is not made by"),
        (lambda: tm.SequenceModel(nn.Identity(), dnc(), nn.Identity()), "a SequenceModel that is not made by"),
        (changed, "this DNC has been changed since it was made"),
        (widened, "this SequenceModel has been changed since it was made"),
        (
            lambda: dnc(writing=Mine()),
            "writing=<.*Mine object.*> is neither a plain value nor one of torchmann's writing policies",
        ),
    ],
)
def test_what_a_file_cannot_describe_is_refused_with_the_way_out(
    make: Callable[[], nn.Module], message: str, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=rf"{message}.*: store its model\.state_dict\(\), and keep the code"):
        tm.save(make(), tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_an_earlier_file_survives_a_failure(tmp_path: Path) -> None:
    tm.save(dnc(), tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    with pytest.raises(OptionError):
        tm.save(composed(), tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == before
    with pytest.raises(OSError, match=r"cannot write .*nowhere/model: No such file"):
        tm.save(dnc(), tmp_path / "nowhere" / "model")


def rewritten(path: Path, **changes: Any) -> None:
    """Replace some of the values in a file, or remove one with None; the checksum is right again."""
    tensors, values = unpack(path)
    path.write_bytes(pack(tensors, {key: value for key, value in (values | changes).items() if value is not None}))


def without_a_tensor(path: Path) -> None:
    tensors, values = unpack(path)
    del tensors["cell.readout.linear.bias"]
    path.write_bytes(pack(tensors, values))


def foreign(path: Path) -> None:
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path, metadata={"format": "pt"})


def config_of(path: Path) -> dict[str, Any]:
    return json.loads(json.dumps(unpack(path)[1]["config"]))


FUTURE = {"torchmann": "99.0.0", "torch": "9.0"}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file or directory"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b""), "is damaged, or is no tensor file"),
        (lambda path: path.write_text("weights"), "is damaged, or is no tensor file"),
        (lambda path: torch.save({"a": torch.zeros(1)}, path), "is damaged, or is no tensor file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"), "its checksum does not fit"),
        (foreign, "is damaged, or is no tensor file"),
        (lambda path: rewritten(path, format=None), "holds no model: it was not written by torchmann.save"),
        (
            lambda path: rewritten(path, format=2, versions=FUTURE),
            r"was written by torchmann 99\.0\.0 in format 2, and this is torchmann .*: upgrade torchmann",
        ),
        (lambda path: rewritten(path, model="dcn"), "cannot make: unknown model 'dcn': did you mean 'dnc'"),
        (lambda path: rewritten(path, config=config_of(path) | {"slotz": 3}), "cannot make: .*unexpected.*'slotz'"),
        (lambda path: rewritten(path, config=config_of(path) | {"slots": -1}), "cannot make: slots must be"),
        (
            lambda path: rewritten(path, config=config_of(path) | {"writing": {"kind": "os.system"}}),
            "unknown writing policy 'os.system'",
        ),
        (lambda path: rewritten(path, config=None), "holds no model"),
        (without_a_tensor, r"does not fit the model: cell\.readout\.linear\.bias"),
        (lambda path: rewritten(path, config=config_of(path) | {"width": 4}), "does not fit the model"),
    ],
)
def test_whatever_is_wrong_with_a_file_is_one_sentence(
    damage: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    tm.save(dnc(), path)
    damage(path)
    with pytest.raises(DataError, match=f"^{path} .*{message}") as caught:
        tm.load(path)
    assert "\n" not in str(caught.value)
