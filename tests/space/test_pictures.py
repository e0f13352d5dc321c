"""Every kind of file that a visitor may send."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from space import pictures
from space.common import RESULTS_KEPT
from space.pictures import Forgotten, forget, open_picture

RAMP = np.linspace(0, 255, 12 * 9 * 3).astype(np.uint8).reshape(9, 12, 3)
COLOUR = Image.fromarray(RAMP)
GREY16 = Image.fromarray(RAMP[..., 0].astype(np.uint16) * 257)


def transparent() -> Image.Image:
    image = COLOUR.copy()
    image.putalpha(Image.fromarray(RAMP[..., 1]))
    return image


def palette() -> Image.Image:
    return COLOUR.quantize(16)


def rotated() -> dict[str, Any]:
    exif = Image.Exif()
    exif[274] = 6  # the camera was held on its side
    return {"exif": exif}


def write(path: Path, image: Image.Image, **options: Any) -> dict[str, Any]:
    image.save(path, **options)
    return {"path": str(path), "orig_name": path.name}


@pytest.mark.parametrize(
    ("name", "image", "mode"),
    [
        ("colour.png", COLOUR, "RGB"),
        ("grey.png", COLOUR.convert("L"), "L"),
        ("alpha.png", transparent(), "RGBA"),
        ("grey-alpha.png", transparent().convert("LA"), "LA"),
        ("palette.png", palette(), "RGB"),
        ("bits.png", COLOUR.convert("1"), "L"),
        ("deep.png", GREY16, "I;16"),
        ("deep.tif", GREY16, "I;16"),
        ("print.jpg", COLOUR.convert("CMYK"), "RGB"),
        ("photo.webp", COLOUR, "RGB"),
        ("old.bmp", COLOUR, "RGB"),
        ("small.gif", palette(), "RGB"),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, image: Image.Image, mode: str) -> None:
    picture = open_picture(write(tmp_path / name, image))
    assert picture.image.mode == mode
    assert picture.image.size == (12, 9)
    if name.endswith((".png", ".tif", ".bmp")) and mode == image.mode:
        assert np.array_equal(np.asarray(picture.image), np.asarray(image)), "nothing is lost on the way in"
    with Image.open(picture.save(picture.image, "copy")) as saved:
        assert np.array_equal(np.asarray(saved), np.asarray(picture.image)), "nor on the way out"
    forget(picture)


def test_exif_rotation(tmp_path: Path) -> None:
    picture = open_picture(write(tmp_path / "phone.png", COLOUR, **rotated()))
    assert np.array_equal(np.asarray(picture.image), np.rot90(RAMP, -1))


def test_one_pixel(tmp_path: Path) -> None:
    picture = open_picture(write(tmp_path / "dot.png", Image.new("RGB", (1, 1), (10, 20, 30))))
    noisy = picture.noisy(25, 0)
    assert noisy.ssim is None
    assert noisy.image.size == (1, 1)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has no pixels."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b""))
    framed = (struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) for body in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def damaged() -> bytes:
    sink = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(sink, "PNG")
    return sink.getvalue()[:1500]


def floats() -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.full((4, 4), np.nan, dtype=np.float32)).save(sink, "TIFF")
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", b"hello", "notes.txt is not a picture"),
        ("empty.png", b"", "empty.png is not a picture"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "drawing.svg is not a picture"),
        ("wide.png", png_header(9000, 9000), "81.0 megapixels"),
        ("bomb.png", png_header(100_000, 100_000), "too many pixels"),
        ("cut.png", damaged(), "damaged"),
        # a picture of NaN can only be a float TIFF
        ("nan.tif", floats(), "floating-point"),
    ],
    ids=["text", "empty", "svg", "huge", "bomb", "damaged", "nan"],
)
def test_what_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / "as-stored"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        open_picture({"path": str(path), "orig_name": name})
    assert str(tmp_path) not in str(error.value), "the server's folders are nobody's business"


@pytest.mark.parametrize("payload", [None, {}, {"path": None}])
def test_nothing_sent(payload: dict[str, Any] | None) -> None:
    with pytest.raises(ValueError, match="no picture was given"):
        open_picture(payload)


@given(st.text(max_size=80))
def test_names_are_made_safe(name: str) -> None:
    from space.pictures import safe_stem

    stem = safe_stem(name)
    assert 0 < len(stem) <= 60
    assert Path(stem).name == stem
    assert not stem.startswith((".", "-"))


def test_noise_is_that_of_the_zoo_and_kept(tmp_path: Path) -> None:
    from zoo.noise import add_noise

    picture = open_picture(write(tmp_path / "a.png", COLOUR))
    noisy = picture.noisy(30, 5)
    assert np.array_equal(np.asarray(noisy.image), np.asarray(add_noise(COLOUR, 30, 5)))
    assert picture.noisy(30, 5) is noisy
    assert not np.array_equal(np.asarray(picture.noisy(30, 6).image), np.asarray(noisy.image))
    assert picture.noisy(0, 0).image is picture.image


def test_results_have_fresh_names_and_old_ones_go(tmp_path: Path) -> None:
    picture = open_picture(write(tmp_path / "a b.png", COLOUR))
    before = picture.noisy(0, 0).path
    paths = [picture.save(picture.image, "denoised") for _ in range(RESULTS_KEPT + 3)]
    assert len(set(paths)) == len(paths)
    assert {Path(path).name for path in paths} == {"a-b-denoised.png"}
    assert [Path(path).exists() for path in paths] == [False] * 3 + [True] * RESULTS_KEPT
    assert Path(before).exists(), "the other side of the comparison stays"


def test_forgotten(tmp_path: Path) -> None:
    picture = open_picture(write(tmp_path / "a.png", COLOUR))
    path = Path(picture.save(picture.image, "denoised"))
    forget(picture)
    assert not path.exists()
    with pytest.raises(Forgotten):
        picture.save(picture.image, "denoised")
    assert not picture.folder.exists()
    forget(None)


def test_folders_cannot_be_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = write(tmp_path / "a.png", COLOUR)
    folders = {open_picture(record).folder for _ in range(3)}
    assert len(folders) == 3
    assert all(len(folder.name) >= 32 for folder in folders)


def test_size_is_checked_before_the_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise AssertionError("read although it is too large")

    monkeypatch.setattr(pictures, "MAX_PIXELS", 100)
    monkeypatch.setattr(pictures, "_read", read)
    with pytest.raises(ValueError, match="make it smaller"):
        open_picture(write(tmp_path / "a.png", COLOUR))
