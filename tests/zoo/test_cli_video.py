"""`zoo video`: a file in, a file out."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from typer.testing import CliRunner

av = pytest.importorskip("av")
pytest.importorskip("cv2")

from zoo.cli import app  # noqa: E402
from zoo.cli import video as verb  # noqa: E402
from zoo.tasks import stylize_video  # noqa: E402
from zoo.video import VideoReader  # noqa: E402

QUICK = ("--model", "gatys", "--steps", "1", "--style-size", "32", "--style", "gallery:dusk")


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["video", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def clip(cartoon, tmp_path):
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(10))
        stream.height, stream.width, stream.pix_fmt = 24, 32, "yuv420p"
        for index in range(3):
            pixels = np.ascontiguousarray(cartoon[10:34, 10 + index : 42 + index])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def first(path):
    with VideoReader(path) as reader:
        frames = list(reader)
    return len(frames), frames[0].image


def test_result_is_the_tasks(clip, tmp_path):
    record = json.loads(run(clip, *QUICK, "--frames", "2", "--temporal-lam", "0.5", "--json").stdout)
    options = {"model": "gatys", "steps": 1, "style_size": 32, "frames": 2, "temporal_lam": 0.5}
    stylize_video(clip, tmp_path / "same.mp4", "gallery:dusk", **options)
    count, image = first(tmp_path / "clip_stylized.mp4")
    assert count == record["frames"] == 2 and record["temporal_lam"] == 0.5 and not record["stopped"]
    assert (image - first(tmp_path / "same.mp4")[1]).abs().max() == 0


def test_text(clip, tmp_path):
    options = ("--mode", "photo", "--temporal", "after", "--side-by-side", "-o", tmp_path / "b.mp4")
    text = run(clip, *QUICK, *options).stdout
    assert "b.mp4" in text and "3 frames" in text and "64×24" in text and "no sound" in text
    assert "warping error" in text
    assert first(tmp_path / "b.mp4")[1].shape[-1] == 64


def test_an_interrupt_keeps_what_is_done(clip, tmp_path, monkeypatch):
    import importlib

    job = importlib.import_module("zoo.tasks.stylize_video")
    steps = job.stylize_video_steps

    def interrupted(*arguments, **options):
        inner = steps(*arguments, **options)
        try:
            yield next(inner)
            raise KeyboardInterrupt
        finally:
            inner.close()

    monkeypatch.setattr(job, "stylize_video_steps", interrupted)
    record = verb.run(clip, tmp_path / "c.mp4", "gallery:dusk", "artistic", {"model": "gatys", "steps": 1})
    assert record["stopped"] and first(tmp_path / "c.mp4")[0] == 1


def test_mistakes_are_explained(clip, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    for arguments, message in (
        ((clip, "--model", "gatys"), "style: "),
        ((tmp_path / "text.mp4", *QUICK), "not a readable video"),
        ((tmp_path / "missing.mp4", *QUICK), "no such file"),
        ((clip, *QUICK, "-o", clip), "the source itself"),
        ((clip, *QUICK, "-o", "a.gif"), "written as .mp4"),
        ((clip, *QUICK, "--temporal", "now"), "temporal: one of"),
    ):
        failed = run(*arguments, code=2)
        assert message in failed.stderr and failed.stdout == "" and "Traceback" not in failed.stderr
