"""`zoo superres`: files in, files out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from zoo.cli import app
from zoo.superres.shrink import shrink
from zoo.tasks import texture_super_resolve


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["superres", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def fails(*arguments):
    result = run(*arguments, code=2)
    assert result.stdout == "" and "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture
def files(cartoon, tmp_path):
    """A small picture, its truth and a reference."""
    low, truth = shrink(cartoon[:60, :60])
    for name, pixels in (("low", low), ("truth", truth), ("reference", cartoon[40:80, 60:100])):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return tmp_path


def pixels(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.array(image)


def test_result_is_the_tasks(files):
    low, truth, reference = (Image.open(files / f"{name}.png") for name in ("low", "truth", "reference"))
    arguments = ("--reference", files / "reference.png", "--steps", "2", "--truth", files / "truth.png")
    text = run(files / "low.png", *arguments).stdout
    expected, info = texture_super_resolve(low, reference, steps=2, truth=truth, return_info=True)
    assert np.array_equal(pixels(files / "low_x3.png"), np.asarray(expected))
    assert f"-> {info.psnr:.2f} dB" in text and f"-> {info.gram_snr:.2f} dB" in text
    assert "guided" in text and "gatys.vgg19_half" in text and "60×60" in text


def test_every_option(files):
    options = ["--scale", "2", "--model", "gatys", "--lam", "5", "--intensity", "2", "--steps", "1", "--shrink"]
    output = files / "out.png"
    record = json.loads(run(files / "truth.png", "-o", output, *options, "--json").stdout)[0]
    low, truth = shrink(Image.open(files / "truth.png"), 2)
    expected, info = texture_super_resolve(
        low, None, 2, model="gatys", lam=5, intensity=2, steps=1, truth=truth, return_info=True
    )
    assert np.array_equal(pixels(output), np.asarray(expected))
    assert {key: record[key] for key in ("psnr", "gram_snr", "lam")} == {
        key: info.to_dict()[key] for key in ("psnr", "gram_snr", "lam")
    }
    assert record["guided"] is False and record["output"] == str(output)


def test_folder(files):
    folder = files / "small"
    folder.mkdir()
    for name in ("a", "b"):
        Image.open(files / "low.png").save(folder / f"{name}.png")
    text = run(folder, "--model", "bicubic", "--scale", "4").stdout
    assert [pixels(files / "small_x4" / f"{name}.png").shape for name in "ab"] == [(80, 80, 3)] * 2
    assert "dB" not in text and text.count("bicubic") == 2


def test_mistakes(files):
    low, truth = files / "low.png", files / "truth.png"
    assert "one of them" in fails(low, "--shrink", "--truth", truth)
    assert "scale" in fails(low, "--scale", "7")
    assert "goes with one picture" in fails(low, truth, "--truth", truth)
    assert "no such file" in fails(low, "--reference", files / "none.png")
    assert "overwrite" in fails(low, "-o", low)
    assert "takes none" in fails(low, "--model", "bicubic", "--reference", files / "reference.png")
    assert not (files / "low_x3.png").exists()
