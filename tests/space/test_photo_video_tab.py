"""The handlers of the "Photo and video" tab."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")
pytest.importorskip("cv2")

from space.common import guarded
from space.photo_video import clips, run
from space.photo_video.visit import arrive, leave, open_clip
from space.tabs import photo_video as tab
from zoo.stylize import ranking
from zoo.tasks import photo_stylize
from zoo.video import VideoReader

ORDER = tuple(inspect.signature(run.run).parameters)
SETTINGS: dict[str, Any] = {
    "kind": run.PHOTO,
    "image": None,
    "video": None,
    "style": None,
    "content_map": None,
    "style_map": None,
    "mode": "artistic",
    "lam": 50,
    "temporal_lam": 0.37,
    "temporal": "inside",
    "beside": False,
    "model": "gatys.vgg19_half",
    "size": 32,
    "frames": 3,
    "steps": 2,
}


def record(path: Path, image: Image.Image) -> dict[str, Any]:
    image.save(path)
    return {"path": str(path), "orig_name": path.name}


@pytest.fixture
def given(cartoon: np.ndarray, tmp_path: Path) -> dict[str, Any]:
    """A content and a style, as the page sends them."""
    content, style = Image.fromarray(cartoon[:48, :64]), Image.fromarray(cartoon[40:, 50:][:40, :40])
    return {"image": record(tmp_path / "photo.png", content), "style": record(tmp_path / "style.png", style)}


@pytest.fixture
def film(given: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A video of four frames, and a style."""
    image = Image.open(given["image"]["path"])
    path = tmp_path / "my film.mp4"
    clips.write(path, (image.rotate(2 * index) for index in range(4)))
    video = {"path": str(path), "orig_name": path.name}
    return {"kind": run.VIDEO, "video": video, "style": given["style"]}


def solve(**changes: Any) -> list[Any]:
    values = {"visit": arrive(None)} | SETTINGS | changes
    return list(guarded(run.run)(*(values[name] for name in ORDER)))


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def text_of(page: str) -> str:
    return html.unescape(re.sub("<[^>]+>", " ", page))


def frames_of(path: str) -> list[Any]:
    with VideoReader(path) as reader:
        return list(reader)


def test_a_photograph(given: dict[str, Any]) -> None:
    updates = solve(**given)
    (before, after), _, _, status, figures, download, halt = updates[-1]
    expected, info = photo_stylize(
        Image.open(given["image"]["path"]),
        Image.open(given["style"]["path"]),
        size=32,
        steps=2,
        model="gatys",
        return_info=True,
    )
    assert np.array_equal(pixels(after), np.asarray(expected)) and pixels(before).shape == pixels(after).shape
    assert "2 iterations" in status and "photorealism in the loss" in status
    assert f"{info.loss.total:.3f}" in figures and f"{info.edge_ssim:.3f}" in figures and "32×24" in text_of(figures)
    assert download == gr.update(value=after, interactive=True) and halt == gr.update(interactive=False)
    assert updates[0][-1] == gr.update(interactive=True) and Path(after).name == "photo-stylized.png"


def test_maps_of_regions(given: dict[str, Any], tmp_path: Path) -> None:
    stripes = np.zeros((20, 20, 3), np.uint8)
    stripes[:, 10:] = (0, 255, 0)
    one = record(tmp_path / "map.png", Image.fromarray(stripes))
    assert "2 regions" in solve(**given, content_map=one, style_map=one)[-1][3]


def test_a_video(film: dict[str, Any]) -> None:
    updates = solve(**film)
    _, frame, video, status, figures, download, halt = updates[-1]
    assert len(frames_of(video)) == 3 and frames_of(video)[0].image.shape[-2:] == (24, 32)
    assert "3 frames" in status and "Warping error" in figures and Path(video).name == "my-film-stylized.mp4"
    assert np.abs(pixels(frame) / 255.0 - frames_of(video)[-1].image[0].permute(1, 2, 0).numpy()).mean() < 0.1
    assert download == gr.update(value=video, interactive=True) and halt == gr.update(interactive=False)
    assert any("Frame 1 of 3" in update[3] for update in updates if isinstance(update[3], str))
    beside = solve(**film, beside=True, frames=1)[-1][2]
    assert frames_of(beside)[0].image.shape[-2:] == (24, 64)


def test_stop_keeps_what_is_done(film: dict[str, Any], given: dict[str, Any]) -> None:
    for options, kept in ((film, lambda update: len(frames_of(update[2])) == 1), (given, lambda update: update[0])):
        visit = arrive(None)
        values = {"visit": visit} | SETTINGS | options | {"steps": 3}
        updates = []
        for update in run.run(*(values[name] for name in ORDER)):
            updates.append(update)
            if len(updates) == 2:
                status, halt = run.stop(visit)
                assert "Stopping" in status and halt == gr.update(interactive=False)
        assert "Stopped." in updates[-1][3] and kept(updates[-1])
        assert not arrive(visit).halt.is_set(), "the next run goes"


def test_who_leaves_takes_the_files_along(film: dict[str, Any]) -> None:
    visit = arrive(None)
    values = {"visit": visit} | SETTINGS | film
    updates = []
    for update in run.run(*(values[name] for name in ORDER)):
        updates.append(update)
        leave(visit)
    assert not visit.folder.exists() and "Done" not in str(updates[-1][3])
    leave(None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": None}, "no picture was given"),
        ({"style": None}, "style: none is chosen"),
        ({"kind": run.VIDEO}, "video: none was given"),
        ({"model": "tv2d.isotropic"}, "is for denoise"),
        ({"lam": -1}, "lam"),
        ({"steps": 1, "model": "nothing.there"}, "unknown model"),
    ],
)
def test_mistakes_are_explained(given: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(gr.Error, match=message):
        solve(**given | changes)


def test_wrong_files(given: dict[str, Any], film: dict[str, Any], tmp_path: Path) -> None:
    bad = tmp_path / "holiday.mp4"
    bad.write_bytes(b"not a video at all")
    wrong = {"path": str(bad), "orig_name": "holiday.mp4"}
    with pytest.raises(gr.Error, match=r"video: holiday\.mp4 cannot be read") as error:
        solve(**film | {"video": wrong})
    assert str(tmp_path) not in str(error.value), "no path of the server"
    with pytest.raises(gr.Error, match=r"image: holiday\.mp4 is not a picture"):
        solve(**given | {"image": wrong})
    with pytest.raises(gr.Error, match="both or none"):
        solve(**given, content_map=given["image"])


def test_the_kind_shows_what_belongs_to_it() -> None:
    still, moving = ranking.choose().name, ranking.choose(moving=True).name
    *parts, engine, steps, status, _ = tab.switch(run.VIDEO, "photo", still)
    assert [part["visible"] for part in parts] == [False] * 3 + [True] * 6 and "video" in status
    assert (engine, steps) == (moving, 0)
    assert tab.switch(run.PHOTO, "artistic", moving)[9] == still
    assert tab.switch(run.VIDEO, "artistic", "gatys.vgg19_half")[9] == gr.skip(), "chosen by hand"
    photo = tab.switch(run.PHOTO, "artistic", moving)
    assert [part["visible"] for part in photo[:9]] == [True] * 3 + [False] * 5 + [True]
    assert tab.switch(run.VIDEO, "artistic", still)[8]["visible"] is False, "a painting has no photorealism"


def test_clips_are_drawn_and_move() -> None:
    for label in clips.CLIPS:
        path = clips.clip(label)
        found = frames_of(path)
        assert len(found) == clips.FRAMES and found[0].image.shape[-2:] == clips.SIZE
        assert (found[0].image - found[-1].image).abs().mean() > 0.02
        assert open_clip({"path": path}).frames == clips.FRAMES and clips.clip(label) == path


def test_endpoints(given: dict[str, Any], film: dict[str, Any]) -> None:
    path, info = tab.photo_stylize(given["image"], given["style"], lam=20, model="gatys", size=32, steps=1)
    assert pixels(path).shape == (24, 32, 3) and info["lam"] == 20 and info["method"] == "luan"
    path, info = tab.stylize_video(film["video"], given["style"], model="gatys", size=32, frames=2, steps=1)
    assert len(frames_of(path)) == info["frames"] == 2 and info["target"] == Path(path).name


def test_on_the_server(visitor: Callable[[], Any], encoded: Callable[..., bytes], film: dict[str, Any]) -> None:
    """Two events as the page sends them: the visit arrives, then the run."""
    one = visitor()
    style = one.upload("style.png", encoded(Image.new("RGB", (40, 40), "teal")))
    video = one.upload("film.mp4", Path(film["video"]["path"]).read_bytes())
    assert one.call("arrive", [None], nth=arrivals(one))["success"]
    values = SETTINGS | {"visit": None, "kind": run.VIDEO, "video": video, "style": style, "frames": 2, "steps": 1}
    answer = one.call("run", [values[name] for name in ORDER])
    assert answer["success"], answer
    broken = one.upload("broken.mp4", b"not a video")
    answer = one.call("run", [(values | {"video": broken})[name] for name in ORDER])
    assert not answer["success"] and "broken.mp4 cannot be read" in answer["output"]["error"]


def arrivals(one: Any) -> int:
    """Which of the events called `arrive` is that of this tab."""
    named = [fn for fn in one.demo.fns.values() if fn.name == "arrive"]
    return next(number for number, fn in enumerate(named) if fn.api_visibility == "private" and not fn.queue)
