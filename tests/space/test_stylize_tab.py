"""The handlers of the "Style transfer" tab, called as functions."""

from __future__ import annotations

import dataclasses
import html
import importlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import zoo
from space.examples import examples
from space.stylize import controls as settings_of
from space.stylize import handlers, paintings, regions, run
from space.stylize.controls import Controls
from space.stylize.visit import (
    FIRST_PAINTING,
    Slot,
    Visit,
    leave,
    with_content,
    with_mask,
    with_style,
    without_mask,
    without_style,
)
from space.tabs import stylize as tab
from zoo import registry
from zoo.models.flexible_solver import FlexibleSolver
from zoo.stylize import engines, grams, pictures, ranking
from zoo.stylize.settings import StylizeSettings

task = importlib.import_module("zoo.tasks.stylize")

SOLVER = "flexible_solver.test"
DUSK = "gallery:dusk"


@pytest.fixture(autouse=True)
def small_paintings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones take seconds to paint."""
    monkeypatch.setattr(pictures, "PAINTING_SIDE", 48)
    monkeypatch.setattr(paintings, "THUMBNAIL", 24)


@pytest.fixture
def solver(monkeypatch: pytest.MonkeyPatch) -> FlexibleSolver:
    """A small solver that counts as installed and as the best."""
    generator = torch.Generator().manual_seed(0)
    made = FlexibleSolver(2, 4).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    record = zoo.info("gatys").to_dict() | {"name": SOLVER, "config": {"iterations": 2, "width": 4}, "default": False}
    entries = {**registry._entries(), SOLVER: zoo.Entry.from_dict(record)}
    load = engines.loaded
    monkeypatch.setattr(registry, "_entries", lambda: entries)
    monkeypatch.setattr(engines, "loaded", lambda name, place: made if name == SOLVER else load(name, place))
    monkeypatch.setattr(ranking, "RANKING", (ranking.Rank(SOLVER, 0.25),))
    return made


@pytest.fixture
def visit(tmp_path: Path, cartoon: np.ndarray) -> Iterator[Visit]:
    made = with_content(file(tmp_path / "a photo.png", Image.fromarray(cartoon[:40, :48])), None)
    yield made
    leave(made)


def file(path: Path, image: Image.Image) -> dict[str, Any]:
    image.save(path)
    return {"path": str(path), "orig_name": path.name}


def transfer(visit: Visit | None, handler: Callable[..., Any] = run.transfer, **changes: Any) -> list[tuple[Any, ...]]:
    controls = dataclasses.replace(Controls(model=SOLVER), **changes)
    return list(handler(visit, *controls.values))


def skipped(value: Any) -> bool:
    return isinstance(value, dict) and value == gr.skip()


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def text(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


def test_result_is_the_tasks(visit: Visit, solver: FlexibleSolver) -> None:
    first, shown_early, (pair, status, figures, strip, download, settings, halt) = transfer(visit, intensity=0.5)
    assert shown_early[0] == pair and skipped(shown_early[2]), "the picture does not wait for its figures"
    assert "Working" in first[1] and first[-1] == gr.update(interactive=True)
    assert visit.content is not None
    expected, info = task.stylize(visit.content.image, FIRST_PAINTING, intensity=0.5, model=SOLVER, return_info=True)
    assert np.array_equal(pixels(pair[0]), np.asarray(visit.content.image))
    assert np.array_equal(pixels(pair[1]), np.asarray(expected))
    assert download == gr.update(value=pair[1], interactive=True) and halt == gr.update(interactive=False)
    assert [caption for _, caption in strip] == ["X(0)", "X(1)", "X(2)"]
    assert np.array_equal(pixels(strip[2][0]), np.asarray(expected))
    shown = text(figures)
    assert f"{info.loss.total:.3f}" in shown and f"from {info.loss_before.total:.3f}" in shown and "48×40" in shown
    assert SOLVER in status and "2 iterations" in status
    assert json.loads(settings) == {
        "model": SOLVER,
        "styles": [FIRST_PAINTING],
        "intensity": 0.5,
        "size": 48,
    }


def test_the_page_begins_with_the_best(solver: FlexibleSolver) -> None:
    assert handlers.models()[0] == SOLVER
    note = text(handlers.engine_note(SOLVER))
    assert "begins with it" in note and "looks best on unseen pictures" in note and "0.25" in note
    assert "begins with it" not in handlers.engine_note("gatys.vgg19_half")


def test_without_networks_it_is_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "RANKING", ())
    assert handlers.models()[0] == ranking.REFERENCE
    assert "no network" in handlers.engine_note(ranking.REFERENCE) and "slow" in tab.label(ranking.REFERENCE)


def test_optimisation_streams(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PREVIEW_SHARE", 1e9)
    updates = transfer(visit, model="gatys.vgg19_half", steps=3, style_size=48)
    _, cleared, *middle, last = updates
    assert cleared[2] == "" and cleared[3] == [] and not cleared[4]["interactive"], "the last result is gone"
    assert [("<progress" in update[1], skipped(update[0])) for update in middle] == [(True, False)] * 3
    assert "3 iterations" in last[1] and "loss" in middle[-1][1]
    assert [caption for _, caption in last[3]] == ["X(0)", "X(1)", "X(3)"], "some of them"


def test_controls_that_move(visit: Visit, solver: FlexibleSolver, monkeypatch: pytest.MonkeyPatch) -> None:
    [nothing] = transfer(None, run.transfer_live)
    assert all(skipped(value) for value in nothing)
    [update] = transfer(visit, run.transfer_live, model="gatys.vgg19_half")
    assert "press Transfer" in update[1]
    [update] = transfer(without_style(0, visit), run.transfer_live)
    assert "Choose a style" in update[1]
    *_, update = transfer(visit, run.transfer_live)
    assert not skipped(update[0]), "a small picture follows at once"
    monkeypatch.setattr(run, "LIVE_SIDE", 32)
    *_, update = transfer(visit, run.transfer_live)
    assert "press Transfer" in update[1]


def test_what_is_missing_is_said(visit: Visit, solver: FlexibleSolver) -> None:
    for wrong, changes, message in (
        (None, {}, "content: no picture"),
        (without_style(0, visit), {}, "styles: none is chosen"),
        (visit, {"intensity": -1}, "intensity"),
        (visit, {"intensity": 1e38, "scales": (1e38,) * 5}, "not finite"),
        (visit, {"weights": (0, 1, 1, 1)}, "style_weights"),
        (visit, {"steps": 5}, "steps: this solver has 2"),
    ):
        with pytest.raises(ValueError, match=message):
            transfer(wrong, **changes)


def test_styles_weights_and_own_pictures(visit: Visit, solver: FlexibleSolver, tmp_path: Path) -> None:
    own = Image.effect_noise((40, 32), 60).convert("RGB")
    visit = with_style(2, file(tmp_path / "own.png", own), visit)
    kept = len(grams.OF_PAINTINGS)
    *_, last = transfer(visit, weights=(0.25, 1, 0.5, 1), color="content", scales=(1, 1, 0, 0, 1))
    assert visit.content is not None
    expected = task.stylize(
        visit.content.image, [FIRST_PAINTING, own], [1, 2], [1, 1, 0, 0, 1], color="content", model=SOLVER
    )
    assert np.array_equal(pixels(last[0][1]), np.asarray(expected))
    assert json.loads(last[5])["styles"] == [FIRST_PAINTING, None]
    assert len(grams.OF_PAINTINGS) == kept and len(visit.memory["grams"]) == 2, "own pictures stay with their visitor"
    leave(visit)
    assert visit.memory == {} and not visit.content.folder.exists()


def test_large_pictures_are_reduced(tmp_path: Path, solver: FlexibleSolver) -> None:
    visit = with_content(file(tmp_path / "wide.png", Image.effect_noise((200, 60), 60).convert("RGB")), None)
    *_, last = transfer(visit, size=100)
    assert [Image.open(path).size for path in last[0]] == [(100, 30)] * 2, "before and after at the same size"
    *_, last = transfer(visit, size=2048)
    assert Image.open(last[0][1]).size == (200, 60), "never enlarged"


def layer(
    folder: Path, *areas: tuple[str, slice], size: tuple[int, int] = (30, 20), alpha: int = 255
) -> dict[str, Any]:
    """A layer of the canvas with columns in colours."""
    image = np.zeros((size[1], size[0], 4), np.uint8)
    for code, columns in areas:
        image[:, columns] = [*bytes.fromhex(code[1:]), alpha]
    path = folder / f"layer{len(list(folder.iterdir()))}.png"
    Image.fromarray(image).save(path)
    return {"path": str(path)}


def test_painted_regions(tmp_path: Path) -> None:
    red, blue, _, amber = regions.COLOURS.values()
    below = layer(tmp_path, (red, slice(0, 10)), (blue, slice(10, 14)))
    above = layer(tmp_path, (amber, slice(8, 12)), ("#808080", slice(20, 30)))
    masks = [
        None if mask is None else np.flatnonzero(np.asarray(mask)[0]).tolist()
        for mask in regions.painted({"layers": [below, above, None, {"path": None}]})
    ]
    assert masks == [list(range(8)), [12, 13], None, list(range(8, 12))], "above covers below, grey is no brush"
    assert regions.painted(None) == (None,) * 4
    assert regions.painted({"layers": [layer(tmp_path, (red, slice(0, 9)), alpha=90)]}) == (None,) * 4
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="mask: what was painted cannot be read"):
        regions.painted({"layers": [{"path": str(tmp_path / "broken.png")}]})


def test_masks_go_to_their_styles(visit: Visit, solver: FlexibleSolver, tmp_path: Path) -> None:
    _, blue, *_ = regions.COLOURS.values()
    visit = handlers.pick(2, 0, visit, SimpleNamespace(index=1))[0]  # type: ignore[arg-type]
    visit = handlers.take_regions({"layers": [layer(tmp_path, (blue, slice(0, 15)))]}, visit)
    *_, last = transfer(visit)
    half = np.zeros((20, 30), np.uint8)
    half[:, :15] = 255
    assert visit.content is not None
    expected = task.stylize(visit.content.image, [FIRST_PAINTING, DUSK], masks=[None, half], model=SOLVER)
    assert np.array_equal(pixels(last[0][1]), np.asarray(expected))
    uploaded = with_mask(1, file(tmp_path / "mask.png", Image.fromarray(255 - half)), visit)
    *_, last = transfer(uploaded)
    other = task.stylize(visit.content.image, [FIRST_PAINTING, DUSK], masks=[None, 255 - half], model=SOLVER)
    assert np.array_equal(pixels(last[0][1]), np.asarray(other)), "a file comes before the brush"
    assert without_mask(1, uploaded).masks == (None,) * 4
    cleared, canvas, *masks = handlers.clear_regions(uploaded)
    assert cleared.painted == cleared.masks == (None,) * 4 and masks == [None] * 4
    assert Path(canvas["value"]["background"]).exists()
    with pytest.raises(ValueError, match=r"masks\[1\]: empty"):
        transfer(with_mask(1, file(tmp_path / "black.png", Image.new("L", (9, 9))), visit))
    stray = handlers.take_regions({"layers": [layer(tmp_path, (regions.COLOURS["green"], slice(3)))]}, visit)
    with pytest.raises(ValueError, match="green was painted for style 3, and there is no style 3"):
        transfer(stray)


def test_contents_come_and_go(visit: Visit, tmp_path: Path) -> None:
    assert visit.content is not None and visit.example is None
    painted = dataclasses.replace(visit, painted=(Image.new("L", (4, 4), 255), None, None, None))
    example = examples()[0]
    other, canvas = handlers.open_content({"path": str(example.path)}, painted)
    assert other.example == example.label and other.painted == (None,) * 4 and other.slots == visit.slots
    assert not visit.content.folder.exists() and other.content is not None
    assert max(Image.open(canvas["value"]["background"]).size) <= handlers.CANVAS_SIDE
    wrong = tmp_path / "notes.png"
    wrong.write_text("no picture")
    with pytest.raises(ValueError, match=r"notes.png is not a picture"):
        handlers.open_content({"path": str(wrong), "orig_name": "notes.png"}, other)
    assert other.content.folder.exists(), "a file that cannot be read takes nothing away"
    gone, *_, strip, download = handlers.clear(other)
    assert gone.content is None and not other.content.folder.exists() and strip == [] and not download["interactive"]
    assert list(run.transfer_live(gone, *Controls().values)) == [run.shown()]


def test_paintings_come_into_the_chosen_place() -> None:
    visit, *slots = handlers.pick(3, 2, None, SimpleNamespace(index=1))  # type: ignore[arg-type]
    assert [slot and slot.reference for slot in visit.slots] == [FIRST_PAINTING, None, DUSK, None]
    assert [skipped(slot) for slot in slots] == [True, True, False, True]
    assert np.array_equal(pixels(slots[2]), np.asarray(zoo_paint("dusk", 48, 2)))
    again = handlers.repaint(
        3, dataclasses.replace(visit, slots=(Slot(DUSK), None, Slot(image=Image.new("L", (9, 9))), None))
    )
    assert [skipped(path) for path in again] == [False, True, True, True]
    assert np.array_equal(pixels(again[0]), np.asarray(zoo_paint("dusk", 48, 3)))
    labels = [label for _, label in paintings.thumbnails()]
    assert labels[:2] == ["Night sky", "Dusk"] and len(labels) == 10


def zoo_paint(name: str, side: int, seed: int) -> Image.Image:
    from zoo.gallery import paint

    return paint(name, side, seed=seed)


@given(
    weights=st.tuples(*[st.sampled_from([0.25, 0.5, 1.0])] * 4),
    scales=st.tuples(*[st.sampled_from([0.0, 1.0, 1.5])] * 5),
    intensity=st.floats(0, 2),
    color=st.sampled_from(["style", "content"]),
    size=st.integers(16, 4096),
    steps=st.integers(0, 300),
    seed=st.integers(0, 2**31 - 1),
)
def test_settings_come_back(**values: Any) -> None:
    controls = Controls(**values, style_size=0, model="gatys.vgg19_half")
    visit = Visit(slots=(Slot(FIRST_PAINTING), Slot(DUSK), Slot(DUSK), Slot(FIRST_PAINTING)))
    settings = controls.settings(visit)
    written = settings_of.to_text(settings, "Cat")
    again, example = settings_of.from_text(written)
    assert again == settings and example == "Cat"
    assert settings_of.controls_for(again).settings(visit) == settings


def test_weights_of_settings_fit_the_sliders() -> None:
    settings = StylizeSettings(styles=(DUSK, DUSK), style_weights=(1, 4))
    assert settings_of.controls_for(settings).weights == (0.25, 1, 1, 1)


def test_settings_are_applied(visit: Visit, solver: FlexibleSolver) -> None:
    label = examples()[0].label
    record = {"styles": [None, DUSK], "style_weights": [1, 0.5], "intensity": 0.3, "content": label, "model": SOLVER}
    changed, content, canvas, *rest, status = handlers.apply_text(json.dumps([{"settings": record}]), visit)
    assert content == str(examples()[0].path) and changed.example == label
    assert [slot and slot.reference for slot in changed.slots] == [None, DUSK, None, None]
    assert rest[0] is None and np.array_equal(pixels(rest[1]), np.asarray(zoo_paint("dusk", 48, 0)))
    controls = Controls.of(tuple(rest[4:]))
    assert controls.weights == (1, 0.5, 1, 1) and controls.intensity == 0.3 and controls.model == SOLVER
    assert "Style 1 was an uploaded picture" in text(status)
    assert "background" in canvas["value"]


@pytest.mark.parametrize(
    ("pasted", "message"),
    [
        ("", "not JSON"),
        ("{'a'}", "not JSON"),
        ("3", "JSON object"),
        ('{"size": "large"}', "size"),
        ('{"content": "/etc/passwd"}', "content is one of"),
        ('{"content": ["Cat"]}', "content is one of"),
        ('{"styles": ["/etc/passwd"]}', "gallery:dusk"),
        ('{"model": "tv2d.isotropic"}', "is for denoise"),
        ('{"model": "adain.nothing"}', "unknown model"),
        ('{"intensity": 3}', "go to 2 on this page"),
    ],
)
def test_settings_that_are_refused(pasted: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        handlers.apply_text(pasted, None)


def test_arriving(solver: FlexibleSolver) -> None:
    plain = handlers.arrive(None, SimpleNamespace(query_params={}))  # type: ignore[arg-type]
    record = {"styles": [DUSK], "intensity": 0.4, "seed": 1}
    linked = handlers.arrive(None, SimpleNamespace(query_params={"stylize": json.dumps(record)}))  # type: ignore[arg-type]
    assert len(plain) == len(linked) == 1 + 3 + 4 + len(Controls().values) + 1
    assert skipped(plain[0]) and np.array_equal(pixels(plain[4]), np.asarray(zoo_paint("night_sky", 48, 0)))
    assert linked[0]["selected"] == tab.TAB.slug
    assert Controls.of(linked[8:-1]).intensity == 0.4 and linked[-2] == SOLVER
    assert np.array_equal(pixels(linked[4]), np.asarray(zoo_paint("dusk", 48, 1)))
    with pytest.raises(ValueError, match="settings"):
        handlers.arrive(None, SimpleNamespace(query_params={"stylize": "{"}))  # type: ignore[arg-type]


def test_endpoint(tmp_path: Path, cartoon: np.ndarray, solver: FlexibleSolver) -> None:
    photo = file(tmp_path / "photo.png", Image.fromarray(cartoon))
    style = Image.fromarray(cartoon[:40, :40])
    path, record = tab.stylize(photo, file(tmp_path / "style.png", style), intensity=0.5, size=64)
    expected, info = task.stylize(Image.fromarray(cartoon), style, intensity=0.5, size=64, return_info=True)
    assert np.array_equal(pixels(path), np.asarray(expected))
    assert record["engine"] == SOLVER and record["loss"]["total"] == pytest.approx(info.loss.total)
    StylizeSettings.from_dict(record["settings"])
    path, record = tab.stylize(photo, painting="dusk", seed=2, size=64)
    assert record["settings"]["styles"] == [DUSK] and json.dumps(record)


def test_warm_up_runs_the_first_engine(solver: FlexibleSolver, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    original = task.stylize
    monkeypatch.setattr(task, "stylize", lambda *a, **k: ran.append(k["model"]) or original(*a, **k))
    tab.warm_up()
    assert ran == [SOLVER]


def test_stop_and_words_on_engines() -> None:
    status, halt = run.stop()
    assert "Stopped" in status and halt == gr.update(interactive=False)
    for arch in ("flexible_solver", "adain", "wct", "johnson", "gatys"):
        assert run.explain(f"{arch}.x")
    assert run.explain("something.else") == ""
