"""The experiments of "ARMIN: Towards a more efficient and light-weight recurrent memory network" on characters.

No code of these was released. Embedding, slots and widths follow from the paper's counts of parameters; the optimiser
and its numbers, which the paper does not give, are those of the code of FS-LSTM (Mujika et al. 2017).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from torchmann.experiments.experiment import Claim, Experiment, Measure, Reported, Trial, config
from torchmann.experiments.measures import MEGABYTES, extra, tested
from torchmann.experiments.papers.armin import DEFECTS, NTM, NTM_DEVIATIONS, OWN_ADDITION, SAM_DEVIATION, Row, judged_by
from torchmann.experiments.record import Record, peak_memory
from torchmann.training import Config, RunDirectory, load_run
from torchmann.training.evaluate import evaluation_mode
from torchmann.training.threads import use_threads

CHARACTERS = 5_101_618
"""Of the training text of Penn Treebank."""

EPOCHS = 100


def _characters_a_second(record: Record) -> float | None:
    read = record.iteration * record.config["batch_size"] * record.config["task"]["steps"] * record.together
    return read / record.seconds if record.seconds else None


BITS = Measure("bits a character", tested("bits"), "", "lower", 3)
SPEED = Measure("characters a second", _characters_a_second, "", "higher", 0)

QUOTED = "quoted by the paper"
NO_LSTM = "no such model here yet: LSTM with layer normalisation and zoneout"


def _options(hidden_size: int, slots: int = 20, **options: Any) -> dict[str, Any]:
    return {"embedding_size": 128, "hidden_size": hidden_size, "slots": slots} | options


def _regularised(hidden_size: int, slots: int = 20, **options: Any) -> dict[str, Any]:
    """ARMIN and AwTA: layer normalisation, and zoneout of half of the state."""
    return _options(hidden_size, slots, layer_norm=True, zoneout_keep=0.5) | options


def _ntm(hidden_size: int) -> tuple[str, dict[str, Any]]:
    return "ntm", _options(hidden_size, width=hidden_size, controller="layernorm_lstm") | NTM


def _tardis(hidden_size: int) -> tuple[str, dict[str, Any]]:
    return "tardis", _options(hidden_size, stored="hidden", key_size=25, zoneout_keep=0.5)


NORMED: dict[str, Any] = {"width": 800, "controller": "layernorm_lstm"}
NO_ZONEOUT = "No zoneout: the controller has layer normalisation alone."
KEY_SIZE = "The slots' keys have 25 numbers, as in the paper's pMNIST; it does not say for characters."
UNKNOWN_COUNT = "The paper's count could not be reached with any reading of its sizes."
MODELS: dict[str, Row] = {
    "NTM (800 units)": Row(_ntm(800), deviations=(NO_ZONEOUT, *NTM_DEVIATIONS, UNKNOWN_COUNT)),
    "DNC (800 units)": Row(("dnc", _options(800, **NORMED) | DEFECTS), 8_200_000, deviations=(NO_ZONEOUT,)),
    "DNC (800 units), corrected": Row(
        ("dnc", _options(800, **NORMED)), 8_200_000, deviations=(NO_ZONEOUT,), note=OWN_ADDITION
    ),
    "SAM (800 units)": Row(
        ("sam", _options(800, **NORMED, preset="released", layers=1, similarity="cosine_per_width")),
        deviations=(NO_ZONEOUT, SAM_DEVIATION, UNKNOWN_COUNT),
        note="NaN in the paper",
    ),
    "TARDIS (1000 units)": Row(
        _tardis(1000), 9_200_000, ("No layer normalisation, which our TARDIS has not; zoneout alone.", KEY_SIZE)
    ),
    "AwTA (800 units)": Row(("awta", _regularised(800, key_size=25)), deviations=(KEY_SIZE,)),
    "ARMIN (500 units)": Row(("armin", _regularised(500)), 4_030_000),
    "ARMIN (800 units)": Row(("armin", _regularised(800)), 9_800_000),
}

TABLE3 = {
    "NTM (800 units)": 1.535,
    "DNC (800 units)": 1.390,
    "TARDIS (1000 units)": 1.268,
    "AwTA (800 units)": 1.223,
    "ARMIN (500 units)": 1.236,
    "ARMIN (800 units)": 1.198,
}

TABLE3_QUOTED: dict[str, tuple[tuple[float, int | None] | None, tuple[float, int | None] | None]] = {  # PTB, enwik8
    "LSTM": ((1.36, None), (1.45, None)),
    "LSTM+Zoneout": ((1.27, None), None),
    "LSTM+LN": ((1.267, 4_260_000), (1.39, None)),
    "LSTM+LN+Zoneout": ((1.24, 4_790_000), (1.37, None)),
    "HM-LSTM+LN": ((1.24, None), (1.32, 35_000_000)),
    "HyperLSTM+LN": ((1.219, 14_410_000), (1.340, 26_500_000)),
    "NASCell": ((1.214, 16_280_000), None),
    "IndRNN (21 layers)": ((1.21, None), None),
    "HyperRHN": ((1.19, 15_500_000), None),
    "FS-LSTM+LN+Zoneout": ((1.190, 7_200_000), (1.277, 27_000_000)),
    "SAB (paper)": ((1.37, None), None),
    "TARDIS (paper)": ((1.25, None), None),
}

NOTES = (
    "Of optimiser, batch, epochs, zoneout and temperature the paper says nothing. As in the code of FS-LSTM: Adam at "
    "0.002, gradients of norm 1 at most, batches of 128, 100 epochs, zoneout of half of the state. The inverse "
    "temperature grows by one an epoch, up to 20. There is no dropout, which that code has.",
    "The test text is read in 20 parts side by side.",
)


def _characters(
    model: tuple[str, dict[str, Any]], *, steps: int = 150, batch_size: int = 128, iterations: int | None = None
) -> Config:
    """Section 4.3, with `EPOCHS` unless `iterations` are given."""
    epoch = -(-((CHARACTERS - 1) // batch_size) // steps)
    draws = model[0] in ("armin", "awta", "tardis")
    total = EPOCHS * epoch if iterations is None else iterations
    return config(
        ("ptb/armin", {"steps": steps}),
        model,
        ("adam", {"lr": 2e-3}),
        batch_size=batch_size,
        iterations=total,
        clip="global",
        clip_limit=1.0,
        anneal=(f"temperature=inverse_steps:1:1:{epoch}:20",) if draws else (),
        log_every=-(-total // 200),
        evaluate_every=-(-total // 20),
        evaluation_batches=10,
        test_batches=None if iterations is None else 1,
        evaluation_batch_size=20,
        checkpoint_every=-(-total // 20),
    )


def _run(row: str) -> Trial:
    """A row of table 3 that the authors ran on Penn Treebank."""
    model, parameters, deviations, note = MODELS[row]
    reported = Reported(TABLE3[row]) if row in TABLE3 else None
    return Trial(row, "PTB", _characters(model), reported, parameters, deviations, note=note)


def _claims(column: str, *pairs: tuple[str, str, str]) -> tuple[Claim, ...]:
    return tuple(Claim(text, f"{better} | {column}", f"{worse} | {column}") for text, better, worse in pairs)


def table3() -> Experiment:
    """Table 3: bits a character of Penn Treebank and enwik8."""
    trials = [_run(row) for row in MODELS]
    for row, texts in TABLE3_QUOTED.items():
        for column, number in zip(("PTB", "enwik8"), texts, strict=True):
            if number is not None:
                value, parameters = number
                trials.append(
                    Trial(row, column, None, Reported(value, quoted=True), parameters=parameters, missing=QUOTED)
                )
    layers = "no such model here yet: ARMIN of two layers"
    row = "ARMIN (800 units, 2 layers)"
    trials.append(Trial(row, "enwik8", None, Reported(1.331), parameters=21_600_000, missing=layers))
    return Experiment(
        "armin/table3",
        "Bits a character of Penn Treebank and enwik8",
        "armin",
        BITS,
        tuple(trials),
        claims=_claims(
            "PTB",
            ("ARMIN's cell is better than that of TARDIS.", "AwTA (800 units)", "TARDIS (1000 units)"),
            ("Auto-addressing is better than the addressing of TARDIS.", "ARMIN (800 units)", "AwTA (800 units)"),
            ("ARMIN is better than the NTM.", "ARMIN (500 units)", "NTM (800 units)"),
            ("ARMIN is better than the DNC.", "ARMIN (500 units)", "DNC (800 units)"),
            ("More units are better.", "ARMIN (800 units)", "ARMIN (500 units)"),
        ),
        measures=(SPEED,),
        curve="validation:bits",
        notes=NOTES,
    )


def text() -> Experiment:
    """The numbers of sections 4.3 and 5: without the reads in the output, and with shorter back-propagation."""
    full, without, short = "ARMIN (800 units)", "ARMIN (800 units), no reads in the output", "ARMIN (800 units), T = 50"
    lstm, short_lstm = "LSTM+LN+Zoneout", "LSTM+LN+Zoneout, T = 50"
    hidden = "armin", _regularised(800, output_reads=False)
    return Experiment(
        "armin/text",
        "ARMIN without its reads in the output, and with back-propagation through 50 instead of 150 steps",
        "armin",
        BITS,
        (
            _run(full),
            Trial(without, "PTB", _characters(hidden), Reported(1.220)),
            Trial(short, "PTB", _characters(MODELS[full].model, steps=50), Reported(1.223)),
            Trial(lstm, "PTB", None, Reported(1.24), missing=NO_LSTM),
            Trial(short_lstm, "PTB", None, Reported(1.39), missing=NO_LSTM),
        ),
        claims=_claims(
            "PTB",
            ("Reads in the output help.", full, without),
            ("Without them ARMIN is still better than the LSTM.", without, lstm),
            ("Shorter back-propagation costs ARMIN little.", full, short),
            ("It costs the LSTM much: with 150 steps that is worse than ARMIN with 50.", short, lstm),
        ),
        measures=(SPEED,),
        curve="validation:bits",
        notes=NOTES,
    )


TABLE4 = {  # hidden size, parameters, slots, steps, batch, GB, characters a second, bits
    "LSTM 1": (1000, 4_790_000, None, 100, 128, 2.36, 71_000, 1.27),
    "LSTM 2": (1000, 4_790_000, None, 150, 128, 3.27, 70_000, 1.24),
    "ARMIN 1": (500, 4_020_000, 5, 50, 384, 3.49, 98_000, 1.238),
    "ARMIN 2": (550, 4_810_000, 10, 50, 300, 3.56, 75_000, 1.223),
}


def table4() -> Experiment:
    """Table 4: what ARMIN gains from large batches of short pieces."""
    trials = []
    for row, (hidden_size, parameters, slots, steps, batch_size, _, _, bits) in TABLE4.items():
        made = None
        if slots is not None:
            made = _characters(("armin", _regularised(hidden_size, slots)), steps=steps, batch_size=batch_size)
        missing = NO_LSTM if made is None else ""
        trials.append(Trial(row, "PTB", made, Reported(bits), parameters, missing=missing))
    slower, faster = "LSTM 2 | PTB", "ARMIN 1 | PTB"
    return Experiment(
        "armin/table4",
        "Cost and bits a character of Penn Treebank in batches of short pieces",
        "armin",
        BITS,
        tuple(trials),
        claims=(
            *_claims(
                "PTB",
                ("Set-up 1 of ARMIN is about as good as the LSTM of 150 steps.", "ARMIN 1", "LSTM 2"),
                ("Set-up 2 of ARMIN is better than that LSTM.", "ARMIN 2", "LSTM 2"),
            ),
            Claim("Set-up 1 of ARMIN is faster than that LSTM, by 40 %.", faster, slower, SPEED),
            Claim("Set-up 2 of ARMIN is faster than that LSTM, by 7 %.", "ARMIN 2 | PTB", slower, SPEED),
        ),
        measures=(SPEED,),
        curve="validation:bits",
        notes=(*NOTES, "The paper's memory and speed are those of a Titan XP."),
    )


def table4_memory() -> Experiment:
    """Table 4: memory of the GPU in training, in MB here."""
    return judged_by(table4(), "memory", MEGABYTES, {f"{row} | PTB": 1000 * each[5] for row, each in TABLE4.items()})


def table4_speed() -> Experiment:
    """Table 4: characters a second in training."""
    return judged_by(table4(), "speed", SPEED, {f"{row} | PTB": each[6] for row, each in TABLE4.items()})


INFERENCE_SPEED = Measure("characters a second without learning", extra("inference_speed"), "", "higher", 0)
INFERENCE_MEMORY = Measure("peak memory without learning", extra("inference_bytes", 1e-6), "MB", "lower", 0)


def inference_cost(run: RunDirectory) -> dict[str, float]:
    """How fast a trained model reads a batch of the test text, and the memory of a process that does just that.

    Returns:
        ``inference_speed`` in characters a second and, where the system tells, ``inference_bytes``.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(_read_a_batch, run).result()


def _read_a_batch(run: RunDirectory) -> dict[str, float]:
    config, task, model = load_run(run)
    use_threads(config.settings.threads)
    batch = task.batch(0, config.settings.batch_size, seed=config.settings.seed, split="test")
    with evaluation_mode(model):
        model(batch.inputs)  # caches and kernels are made in the first call
        began = time.perf_counter()
        model(batch.inputs)
        seconds = time.perf_counter() - began
    found, peak = {"inference_speed": batch.inputs.numel() / seconds}, peak_memory()
    return found if peak is None else {**found, "inference_bytes": float(peak)}


WIDTHS = (200, 400, 800)
COMPARED: Mapping[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
    "LSTM": lambda width: ("lstm", {"embedding_size": 128, "hidden_size": width}),
    "NTM": _ntm,
    "TARDIS": _tardis,
    "AwTA": lambda width: ("awta", _regularised(width, key_size=25)),
    "ARMIN": lambda width: ("armin", _regularised(width)),
}


def figure3() -> Experiment:
    """Figure 3: speed and memory of training and of inference, by the number of units."""
    trials = tuple(
        Trial(row, f"{width} units", _characters(model(width), iterations=10))
        for row, model in COMPARED.items()
        for width in WIDTHS
    )
    claims = tuple(
        Claim(
            f"ARMIN is faster than {row} in {where} with {width} units.",
            f"ARMIN | {width} units",
            f"{row} | {width} units",
            measure,
        )
        for measure, where in ((SPEED, "training"), (INFERENCE_SPEED, "inference"))
        for row in ("NTM", "TARDIS", "AwTA")
        for width in WIDTHS
    )
    claims += tuple(
        Claim(
            f"TARDIS takes less memory in inference than ARMIN with {width} units.",
            f"TARDIS | {width} units",
            f"ARMIN | {width} units",
            INFERENCE_MEMORY,
        )
        for width in WIDTHS
    )
    return Experiment(
        "armin/figure3",
        "Speed and memory of training and inference on Penn Treebank, 20 slots",
        "armin",
        SPEED,
        trials,
        claims=claims,
        measures=(INFERENCE_SPEED, INFERENCE_MEMORY),
        notes=(
            "Ten iterations of each model; the paper's numbers of units, speeds and memory are in its picture alone.",
            "The paper measures on a Titan XP; memory on a CPU is that of the whole process.",
        ),
        inspect=inference_cost,
    )


EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    "armin/table3": table3,
    "armin/text": text,
    "armin/table4": table4,
    "armin/table4-memory": table4_memory,
    "armin/table4-speed": table4_speed,
    "armin/figure3": figure3,
}
