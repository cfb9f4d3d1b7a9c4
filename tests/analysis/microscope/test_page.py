"""The page needs nothing but itself, and works in a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from tests.analysis.browser import needs_browser, run_in_browser
from tests.analysis.microscope.watched import watched_films, watched_page

from torchmann.analysis.microscope import Film, microscope_page, page
from torchmann.analysis.sample import Answers, Sample

pages = cache(watched_page)

HELPERS = """
    const byName = (name, what) => document.querySelector(`[data-name='${name}'] ${what}`);
    const hash = (text) => [...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 1000003, 7);
    const picture = (name) => hash(byName(name, "canvas").toDataURL());
    const cursor = () => document.querySelector(".cursor").getBoundingClientRect().left;
    const now = () => document.getElementById("now-step").textContent;
    const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const change = (id, value) => {
        const control = document.getElementById(id);
        control.value = value;
        control.dispatchEvent(new Event("input"));
    };
    const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));
    const openAll = async () => {
        document.querySelectorAll("details").forEach((details) => (details.open = true));
        await wait(100);
    };
"""


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = pages("dnc")
    assert "http" not in text.replace("http-equiv", "")
    assert not re.search(r"<(link|img|iframe|script[^>]* src)|@import|url\(|fetch\(|XMLHttpRequest", text)
    assert "default-src 'none'" in text


def test_what_comes_from_outside_cannot_break_the_page() -> None:
    words = ("</script><script>alert(1)</script>", "<!--NUMBERS-->")
    answers = Answers("words", torch.tensor([1]), torch.eye(2)[[0]], torch.tensor([True]))
    film = Film(
        "<b>", [Sample(torch.tensor([0]), answers, {"h": torch.zeros(1, 9)}, words, words, ("dense",))], ["now"]
    )
    text = microscope_page("</title>", [], [film])
    assert "alert(1)</script>" not in text and "</title></title>" not in text
    assert text.count("</script>") == 3 and text.count("<!--NUMBERS-->") == 0


def test_a_page_is_cut_until_it_is_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    films = watched_films("dnc")
    whole = len(microscope_page("", [], films))
    monkeypatch.setattr(page, "SIZES", ((400, 128), (400, 4), (20, 4), (5, 4), (1, 1)))
    monkeypatch.setattr(page, "LARGEST", whole - 1)
    smaller = microscope_page("", [], films)
    assert len(smaller) < whole and "the first 4 of 5 slots" in smaller and "Only the first" not in smaller
    monkeypatch.setattr(page, "LARGEST", len(smaller) - 1)
    assert "Only the first 20 of 26 steps" in microscope_page("", [], films)
    monkeypatch.setattr(page, "LARGEST", 0)
    assert "Only the first 1 of 8 steps" in microscope_page("", [], films), "there is an end to it"


SLOW = pytest.mark.slow
LATER = ("ntm", "lstm", "cached")
"""Each start of the browser takes a second or two: these are left to the slow tests."""

TASK = ["inputs", "targets", "outputs"]
DNC = [
    "memory.memory",
    "memory.link",
    "memory.usage",
    "memory.write_weights",
    "memory.read_weights",
    "memory.read_mode",
]
GATES = ["memory.write_gate", "memory.allocation_gate", "memory.free_gate", "memory.read_strength", "memory.erase"]
PANELS = {
    "dnc": [*TASK, *DNC, *GATES, "memory.precedence", "memory.allocation", "controller.h", "reads"],
    "dam": [*TASK, "memory.memory", "memory.usage", "memory.attentive_gate", "refreshable", "reproduced"],
    "ntm": [*TASK, "memory.memory", "memory.read_shift", "memory.write_erase", "memory.read_gamma"],
    "lstm": [*TASK, "h", "c"],
    "held": [*TASK, *DNC, *GATES, "schedule"],
    "cached": [*TASK, *DNC, "schedule", "cache.hidden", "cache.valid"],
    "words": ["certainty", *DNC, *GATES, "refreshable"],
}


@needs_browser
@pytest.mark.parametrize("kind", [pytest.param(kind, marks=SLOW if kind in LATER else ()) for kind in PANELS])
def test_every_panel_is_there_and_drawn(kind: str, tmp_path: Path) -> None:
    script = f"""{HELPERS}
        await openAll();
        const pixels = ({{ width, height }}, pen) => pen.getImageData(0, 0, width, height).data;
        const blank = (canvas) => pixels(canvas, canvas.getContext("2d")).every((value) => value === 0);
        const figures = [...document.querySelectorAll("[data-name]")];
        const empty = figures.filter((figure) => [...figure.querySelectorAll("canvas")].some(blank));
        const names = (list) => list.map((figure) => figure.dataset.name);
        return {{ names: names(figures), blank: names(empty), title: document.title }};"""
    found = run_in_browser(pages(kind, refreshed=kind in ("dam", "words")), script, tmp_path)
    assert set(PANELS[kind]) <= set(found["names"]) and len(set(found["names"])) == len(found["names"])
    assert found["title"] == f"{kind} <watched>"
    assert found["blank"] == []


@needs_browser
def test_the_step_moves_the_cursor_and_changes_the_heat_map(tmp_path: Path) -> None:
    script = f"""{HELPERS}
        const seen = [];
        const gate = () => byName("memory.write_gate", "output").textContent;
        const look = () => seen.push([now(), cursor(), picture("memory.memory"), picture("memory.usage"), gate()]);
        look();
        change("step", 3); look();
        press("ArrowRight"); look();
        press("Home"); look();
        press("End"); look();
        document.getElementById("back").click(); look();
        return seen;"""
    seen = run_in_browser(pages("dnc"), script, tmp_path)
    steps, cursors, memories, usages, gates = zip(*seen, strict=True)
    assert [text.split()[1] for text in steps] == ["0", "3", "4", "0", "7", "6"]
    assert cursors[0] == cursors[3] < cursors[1] < cursors[2] < cursors[5] < cursors[4]
    assert memories[0] == memories[3] and len(set(memories)) == 5
    assert len(set(usages)) == 1, "what is shown over time stays as it is"
    assert len(set(gates)) > 1


@needs_browser
def test_training_blocks_and_sequences_change_what_is_shown(tmp_path: Path) -> None:
    script = f"""{HELPERS}
        const moment = document.getElementById("now-moment");
        const seen = {{ moments: [] }};
        const look = () => seen.moments.push([moment.textContent.split(" ")[0], picture("memory.memory")]);
        change("step", 5); look();
        change("moment", 0); look();
        press("]"); look();
        press("b"); look();
        const buttons = [...document.querySelectorAll("#blocks button")];
        seen.pressed = buttons.map((button) => button.getAttribute("aria-pressed"));
        change("film", document.getElementById("film").options.length - 1);
        press("End");
        seen.step = now();
        seen.training = getComputedStyle(document.getElementById("training")).display;
        await wait(400);
        seen.address = location.hash;
        return seen;"""
    seen = run_in_browser(pages("dam"), script, tmp_path)
    labels, pictures = zip(*seen["moments"], strict=True)
    assert labels == ("after", "before", "after", "after")
    assert pictures[0] == pictures[2] and len(set(pictures)) == 3
    assert seen["pressed"] == ["false", "true"]
    assert seen["step"] == "step 25 of 0–25" and seen["training"] == "none", "of longer ones there is one moment"
    assert re.fullmatch(r"#film=\d&moment=0&step=25&block=1", seen["address"])


@needs_browser
def test_values_under_the_pointer_are_those_recorded(tmp_path: Path) -> None:
    script = f"""{HELPERS}
        change("step", 4);
        const canvas = byName("memory.usage", "canvas");
        const {{ left, top, width, height }} = canvas.getBoundingClientRect();
        const point = (type, x, y, buttons) => {{
            const place = {{ clientX: left + x * width, clientY: top + y * height, buttons }};
            canvas.dispatchEvent(new PointerEvent(type, place));
        }};
        point("pointermove", 5.5 / 8, 2.5 / 5, 0);
        const told = document.getElementById("tip").innerText;
        point("pointerdown", 6.5 / 8, 0.5, 1);
        return [told, now(), byName("memory.usage", "output").textContent];"""
    films = watched_films("dnc")
    told, now, largest = run_in_browser(microscope_page("", [], films), script, tmp_path)
    usage = films[0].samples[-1].internals["memory.usage"]
    title, place = told.splitlines()
    assert title == "usage" and place.startswith("step 5, slot 2: ")
    assert float(place.split(": ")[1]) == pytest.approx(float(usage[5, 2]), abs=0.006)
    assert now.startswith("step 6 ")
    slot, value = largest.removeprefix("slot ").split(": ")
    assert int(slot) == int(usage[6].argmax()) and float(value) == pytest.approx(float(usage[6].max()), abs=0.006)


@needs_browser
@pytest.mark.slow
def test_an_address_leads_to_a_step_and_unknown_schedules_are_shown(tmp_path: Path) -> None:
    film = watched_films("dnc")[0]
    kinds = ("dense / hold", "cell / x") * 4
    films = [film, Film("layers", [replace(sample, kinds=kinds) for sample in film.samples], film.moments)]
    script = f"""{HELPERS}
        location.hash = "film=1&step=5&moment=0"; await wait(100);
        return [now(), document.getElementById("now-moment").textContent, byName("schedule", "output").textContent];"""
    step, moment, kind = run_in_browser(microscope_page("", [], films), script, tmp_path)
    assert step.startswith("step 5 ") and moment.startswith("before") and kind == "cell / x"


@needs_browser
@pytest.mark.slow
def test_the_latest_moment_stays_the_latest(tmp_path: Path) -> None:
    script = f"""{HELPERS}
        const moment = document.getElementById("now-moment"), seen = [];
        const last = document.getElementById("film").options.length - 1;
        for (const film of [last, 0]) {{ change("film", film); seen.push(moment.textContent); }}
        return seen;"""
    assert all(text.startswith("after") for text in run_in_browser(pages("lstm"), script, tmp_path))


@needs_browser
@pytest.mark.slow
def test_playing_goes_on_by_itself(tmp_path: Path) -> None:
    script = f"""{HELPERS}
        press(" "); await wait(1200); press(" ");
        const reached = now(); await wait(800);
        return [reached, now()];"""
    reached, later = run_in_browser(pages("lstm"), script, tmp_path)
    assert reached == later and int(reached.split()[1]) in (2, 3, 4)


@needs_browser
@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=SLOW)])
def test_nothing_is_wider_than_the_window(width: int, tmp_path: Path) -> None:
    script = f"""{HELPERS}
        await openAll();
        const canvases = [...document.querySelectorAll("#lanes canvas")];
        const lefts = canvases.map((canvas) => canvas.getBoundingClientRect().left);
        return [document.documentElement.scrollWidth - innerWidth, new Set(lefts).size];"""
    beyond, lefts = run_in_browser(pages("words", refreshed=True), script, tmp_path, size=(width, 800))
    assert beyond <= 0 and lefts == 1, "all lanes share one time axis"


@needs_browser
@pytest.mark.slow
def test_the_dark_scheme_has_colours_of_its_own(tmp_path: Path) -> None:
    script = f"""{HELPERS}
        const pixel = byName("memory.link", "canvas").getContext("2d").getImageData(60, 40, 1, 1).data;
        const scheme = matchMedia("(prefers-color-scheme: dark)").matches;
        return [getComputedStyle(document.body).backgroundColor, scheme, [...pixel]];"""
    light = run_in_browser(pages("dnc"), script, tmp_path)
    dark = run_in_browser(pages("dnc"), script, tmp_path, flags="--blink-settings=preferredColorScheme=0")
    assert [light[1], dark[1]] == [False, True]
    assert light[0] != dark[0] and sum(light[2][:3]) > 600 > 300 > sum(dark[2][:3])
