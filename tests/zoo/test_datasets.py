from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.datasets import ImageFiles, decoded, resize_shorter


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    """The same three files as folder, .zip and .tar."""
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    draw = np.random.default_rng(0)
    for name in ("b.png", "deep/a.PNG"):
        Image.fromarray(draw.integers(0, 255, (7, 9, 3), dtype=np.uint8)).save(folder / name, format="PNG")
    (folder / "notes.txt").write_text("not a picture")
    with (
        zipfile.ZipFile(tmp_path / "archive.zip", "w") as zipped,
        tarfile.open(tmp_path / "archive.tar", "w") as tarred,
    ):
        for file in sorted(folder.rglob("*.*")):
            zipped.write(file, file.relative_to(folder))
            tarred.add(file, f"./{file.relative_to(folder)}")
    return {"folder": folder, "zip": tmp_path / "archive.zip", "tar": tmp_path / "archive.tar"}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_folder_and_archives_are_alike(kind: str, sources: dict[str, Path]) -> None:
    files = ImageFiles(sources[kind])
    assert files.names == ["b.png", "deep/a.PNG", "notes.txt"]
    assert files.images() == ["b.png", "deep/a.PNG"]
    assert files.images("deep/") == ["deep/a.PNG"]
    assert files.images(("b", "deep")) == ["b.png", "deep/a.PNG"]
    with Image.open(sources["folder"] / "b.png") as image:
        assert np.array_equal(files.decode("b.png"), np.asarray(image))
    assert files.read("notes.txt") == b"not a picture"
    assert files.fingerprint(files.names) == ImageFiles(sources["folder"]).fingerprint(files.names)
    with pytest.raises(KeyError, match=r"c\.png"):
        files.read("c.png")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    for path in (tmp_path / "text", tmp_path / "nothing"):
        with pytest.raises(ValueError, match="folder"):
            ImageFiles(path)


def test_grey_and_alpha_become_rgb(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P"):
        buffer = io.BytesIO()
        Image.new(mode, (4, 3)).save(buffer, format="PNG")
        (tmp_path / f"{mode}.png").write_bytes(buffer.getvalue())
    files = ImageFiles(tmp_path)
    assert {files.decode(name).shape for name in files.images()} == {(3, 4, 3)}


def test_resize_shorter_takes_the_centre() -> None:
    image = np.zeros((10, 30, 3), np.uint8)
    image[:, 10:20] = 200
    assert np.array_equal(resize_shorter(image, 10), np.full((10, 10, 3), 200, np.uint8))
    assert resize_shorter(image, 5).shape == (5, 5, 3)
    assert resize_shorter(image[:, :10], 10) is not None


def test_decoded_pixels_are_kept(sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ImageFiles(sources["zip"])
    names = files.images()
    first = decoded(files, names, 8, tmp_path / "cache", resize_shorter)
    assert first.shape == (2, 8, 8, 3) and first.dtype == np.uint8
    assert np.array_equal(first[1], resize_shorter(files.decode(names[1]), 8))
    monkeypatch.setattr(files, "decode", None)  # the second time nothing is decoded
    assert np.array_equal(decoded(files, names, 8, tmp_path / "cache", resize_shorter), first)
    assert not list((tmp_path / "cache").glob("*.part"))
