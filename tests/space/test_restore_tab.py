"""The handlers of the "Restore" tab, called as functions."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

import zoo
from space import latents
from space.damaged import damaged
from space.tabs import restore as tab


def record(path: Path, image: Image.Image) -> dict[str, Any]:
    image.save(path)
    return {"path": str(path), "orig_name": path.name}


def photo(width: int = 48, height: int = 40) -> Image.Image:
    y, x = np.mgrid[:height, :width] / 40
    planes = [0.5 + 0.3 * np.sin(4 * (x * k + y) + k) for k in (1, 2, 3)]
    return Image.fromarray((255 * np.stack(planes, -1)).astype(np.uint8))


def canvas(paint: tuple[int, int, int, int] | None, layer_size: tuple[int, int] = (48, 40)) -> Any:
    """What the editor gives: the picture and a layer with a painted rectangle."""
    layer = Image.new("RGBA", layer_size, (0, 0, 0, 0))
    if paint:
        layer.paste((0, 184, 148, 255), paint)
    return {"background": photo().convert("RGBA"), "layers": [layer], "composite": photo().convert("RGBA")}


SETTINGS: dict[str, Any] = {
    "mask": None,
    "kinds": ["inpaint"],
    "enlarge": "",
    "source": tab.PAINTED,
    "frame": "square",
    "model": "dip.small",
    "seconds": 0.5,
    "seed": 0,
}


def solve(editor: Any, **changes: Any) -> list[Any]:
    return list(tab.solve(editor, *(SETTINGS | changes).values()))


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_painted_hole_is_filled() -> None:
    updates = solve(canvas((10, 8, 20, 18)))
    (before, after), status, figures, download, halt = updates[-1]
    hole = np.zeros((40, 48), bool)
    hole[8:18, 10:20] = True
    assert np.array_equal(pixels(after)[~hole], np.asarray(photo())[~hole]), "what is known stays"
    assert (pixels(before)[hole] == 128).all() and np.array_equal(pixels(before)[~hole], pixels(after)[~hole])
    assert "Restored in" in status and "dip.small" in status
    assert "Energy" in figures and "48×40" in html.unescape(re.sub("<[^>]+>", " ", figures))
    assert download == gr.update(value=after, interactive=True)
    assert halt == gr.update(interactive=False) and updates[0][-1] == gr.update(interactive=True)


def test_layers_of_another_size() -> None:
    holes = tab.painted_holes(canvas((20, 16, 40, 36), (96, 80)), 48, 40)
    expected = np.zeros((40, 48), bool)
    expected[8:18, 10:20] = True
    assert holes is not None and np.array_equal(holes, expected)
    assert tab.painted_holes(canvas(None), 48, 40) is None
    assert tab.painted_holes({}, 48, 40) is None


def test_uploaded_mask_and_presets(tmp_path: Path) -> None:
    mask = Image.new("L", (96, 80), 0)
    mask.paste(255, (0, 0, 20, 20))
    *_, last = solve(canvas(None), mask=record(tmp_path / "m.png", mask)["path"], source=tab.UPLOADED)
    assert (pixels(last[0][0])[:10, :10] == 128).all() and not (pixels(last[0][0])[10:, 10:] == 128).all()
    *_, last = solve(canvas(None), source="half")
    assert (pixels(last[0][0])[:, 24:] == 128).all()


@pytest.mark.parametrize(("kinds", "enlarge", "size"), [(["colourise"], "", (48, 40)), (["denoise"], "x2", (96, 80))])
def test_other_tasks(kinds: list[str], enlarge: str, size: tuple[int, int]) -> None:
    *_, last = solve(canvas(None), kinds=kinds, enlarge=enlarge)
    before, after = (Image.open(path) for path in last[0])
    assert before.size == after.size == size, "the slider needs pictures of one size"
    if "colourise" in kinds:
        assert np.ptp(np.asarray(before).astype(int), axis=-1).max() == 0


@pytest.mark.parametrize(
    ("editor", "changes", "message"),
    [
        (None, {}, "no picture"),
        ({"background": None, "layers": [], "composite": None}, {}, "no picture"),
        ("plain", {}, "nothing was painted"),
        ("plain", {"kinds": []}, "at least one"),
        ("plain", {"source": tab.UPLOADED}, "no file"),
        ("plain", {"model": "nothing.there", "source": "half"}, "unknown model"),
        ("plain", {"model": "tv2d.isotropic", "source": "half"}, "for denoise"),
        ("plain", {"source": "elsewhere"}, "mask"),
    ],
)
def test_mistakes_are_explained(editor: Any, changes: dict[str, Any], message: str) -> None:
    from space.common import guarded

    given = canvas(None) if editor == "plain" else editor
    with pytest.raises(gr.Error, match=message):
        list(guarded(tab.solve)(given, *(SETTINGS | changes).values()))


def test_a_mask_that_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match="is not a picture"):
        tab.uploaded_holes(str(tmp_path / "bad.png"), 4, 4)


def test_endpoint(tmp_path: Path) -> None:
    path, info = tab.restore(record(tmp_path / "a.png", photo()), "inpaint", None, "dip.small", 0.5)
    assert pixels(path).shape == (40, 48, 3) and info["model"] == "dip.small" and info["steps"] >= 1


def test_the_priors_to_try_first_are_in_front() -> None:
    names = tab.models()
    assert sorted(names) == sorted(zoo.list_models(task="restore"))
    assert names[0] == latents.latent_models()[0] == "lcm.faces128"
    for index, one in enumerate(damaged()):
        assert tab.example(index)[-1] == ("lcm.faces128" if one.face else "dip.small")


def test_works_without_a_trained_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo import registry

    monkeypatch.setattr(registry, "_entries", lambda: {"dip.small": entry})
    assert tab.models() == ("dip.small",)
    assert latents.latent_models() == [] and latents.latent_models("sample") == []
    with gr.Blocks() as demo:
        tab.build()
    texts = [block.value for block in demo.blocks.values() if isinstance(block, gr.Markdown)]
    assert tab.UNTRAINED in texts


entry = zoo.info("dip.small")


def test_interpolation_and_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from zoo.tasks import latents as job
    from zoo.tasks.latents import InterpolationStep

    frames = torch.linspace(0, 1, 7)[:, None, None, None].expand(7, 3, 8, 8)

    def steps(*_: Any, **__: Any) -> Any:
        yield InterpolationStep(frames, 1 - frames, 1.0, True)

    monkeypatch.setattr(job, "interpolate_steps", steps)
    monkeypatch.setattr(job, "sample", lambda *_, **__: frames[:1].expand(8, 3, 8, 8))
    ((path, status),) = latents.between(
        record(tmp_path / "a.png", photo()), record(tmp_path / "b.png", photo()), "m", "square"
    )
    assert pixels(path).shape == (16, 56, 3) and "latent" in status
    assert (pixels(path)[0, 48:] == 255).all() and (pixels(path)[8, 48:] == 0).all()
    path, status = latents.draw("lcm.tiny", 0, 0.8)
    assert pixels(path).shape == (16, 32, 3) and "lcm.tiny" in status


@pytest.mark.parametrize("index", range(len(damaged())))
def test_examples_can_be_restored_as_they_come(index: int) -> None:
    editor, kinds, enlarge, source, model = tab.example(index)
    assert editor["composite"].size == editor["background"].size
    *_, last = solve(editor, kinds=kinds, enlarge=enlarge, source=source, model=model, seconds=0.5)
    before, after = last[0]
    assert pixels(before).shape == pixels(after).shape
    assert damaged()[index].thumbnail(tab.MASK_COLOUR).exists()
