"""Short example videos, drawn by code and written when somebody asks for one."""

from __future__ import annotations

import importlib.util
import math
import threading
from collections.abc import Iterator
from pathlib import Path

from gradio.utils import get_upload_folder
from PIL import Image, ImageDraw

from ..examples import labelled, paper_cut

SIZE = (192, 256)
"""Height and width."""
FRAMES, RATE = 24, 12

_lock = threading.Lock()


def clip(label: str) -> str:
    """The file of a clip, by its label; drawn and written the first time.

    Raises:
        ValueError: PyAV is not installed, which writes it.
    """
    if importlib.util.find_spec("av") is None:
        raise ValueError("video: this server has no PyAV, which reads and writes videos; photographs work")
    name, scene = CLIPS[label]
    path = Path(get_upload_folder()) / "examples" / f"{name}.mp4"
    with _lock:  # two visitors at once: drawn once
        if not path.exists():
            write(path, scene())
    return str(path)


def write(path: Path, scene: Iterator[Image.Image]) -> None:
    """Writes pictures as a video."""
    from zoo.images import to_picture
    from zoo.video import VideoWriter

    with VideoWriter(path, RATE, crf=14) as writer:
        for image in scene:
            writer.write(to_picture(image).tensor)


def sunrise() -> Iterator[Image.Image]:
    """A sun that rises behind hills while a boat goes by."""
    height, width = SIZE
    scale = 2  # drawn larger and reduced, so that the edges are smooth
    for index in range(FRAMES):
        share = index / (FRAMES - 1)
        canvas = Image.new("RGB", (width * scale, height * scale), "#f3dfc1")
        draw = ImageDraw.Draw(canvas)
        for band in range(24):
            top = band * height * scale // 36
            warm = (243 - 3 * band, 206 - 2 * band + round(20 * share), 150 + 3 * band)
            draw.rectangle((0, top, width * scale, top + height * scale // 36), fill=warm)
        x, y = width * scale * 0.62, height * scale * (0.58 - 0.3 * share)
        draw.ellipse((x - 44, y - 44, x + 44, y + 44), fill="#e2703a")
        for level, (colour, pace) in enumerate((("#8fa39b", 6), ("#5f7f7a", 14), ("#2f5a5c", 26))):
            base = height * scale * (0.52 + 0.08 * level)
            points = [(0.0, float(height * scale))]
            for step in range(0, width * scale + 8, 8):
                phase = (step + pace * index) / (90 - 18 * level)
                points.append((float(step), base + 22 * math.sin(phase) + 10 * math.sin(2.7 * phase + level)))
            draw.polygon([*points, (float(width * scale), float(height * scale))], fill=colour)
        sea = height * scale * 0.8
        draw.rectangle((0, sea, width * scale, height * scale), fill="#1d3f52")
        for row in range(6):
            for column in range(10):
                left = (column * 62 + row * 23 + 3 * index) % (width * scale + 40) - 40
                draw.line((left, sea + 10 + 11 * row, left + 26, sea + 10 + 11 * row), fill="#4d7f94", width=3)
        bow = width * scale * (0.05 + 0.55 * share)
        draw.polygon(
            [(bow, sea + 12), (bow + 76, sea + 12), (bow + 62, sea + 30), (bow + 14, sea + 30)], fill="#7a2f24"
        )
        draw.polygon([(bow + 38, sea - 58), (bow + 38, sea + 6), (bow + 78, sea + 6)], fill="#f6f0e4")
        yield canvas.resize((width, height), Image.Resampling.LANCZOS)


def across() -> Iterator[Image.Image]:
    """A camera that goes across an example picture and comes nearer."""
    height, width = SIZE
    cat = labelled("Cat")
    picture = paper_cut(420) if cat is None else Image.open(cat).convert("RGB")
    for index in range(FRAMES):
        share = index / (FRAMES - 1)
        wide = min(picture.width, picture.height * width / height) * (0.9 - 0.2 * share)
        tall = wide * height / width
        left = (picture.width - wide) * (0.1 + 0.6 * share)
        top = (picture.height - tall) * 0.4
        yield picture.resize((width, height), Image.Resampling.LANCZOS, box=(left, top, left + wide, top + tall))


CLIPS = {"A sunrise": ("sunrise", sunrise), "Across a picture": ("across", across)}
"""Label -> name of the file, and what is on it."""
