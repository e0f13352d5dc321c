"""`zoo photo`: files in, files out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from zoo.cli import app
from zoo.tasks import photo_stylize

QUICK = ("--model", "gatys", "--steps", "2", "--style-size", "40")


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["photo", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def pair(cartoon, tmp_path):
    content, style = tmp_path / "photo.png", tmp_path / "style.png"
    Image.fromarray(cartoon[:24, :32]).save(content)
    Image.fromarray(cartoon[40:80, 60:100]).save(style)
    return content, style


def test_result_is_the_tasks(pair, tmp_path):
    content, style = pair
    stripes = np.zeros((20, 20, 3), np.uint8)
    stripes[:, 10:] = (0, 255, 0)
    Image.fromarray(stripes).save(tmp_path / "map.png")
    maps = ("--content-mask", tmp_path / "map.png", "--style-mask", tmp_path / "map.png")
    record = json.loads(run(content, "--style", style, *maps, "--lam", "7", *QUICK, "--json").stdout)[0]
    expected, info = photo_stylize(
        Image.open(content),
        Image.open(style),
        Image.fromarray(stripes),
        Image.fromarray(stripes),
        7.0,
        model="gatys",
        steps=2,
        style_size=40,
        return_info=True,
    )
    with Image.open(tmp_path / "photo_photo.png") as image:
        assert image.format == "PNG" and np.array_equal(np.asarray(image), np.asarray(expected))
    assert record["method"] == "luan" and record["lam"] == 7 and len(record["labels"]) == 2
    assert record["edge_ssim"] == pytest.approx(info.edge_ssim)


def test_text_and_folder(pair, tmp_path):
    content, style = pair
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.open(content).save(folder / "one.png")
    text = run(folder, "--style", style, "--method", "smooth", *QUICK).stdout
    assert "smooth" in text and "edges 0." in text and "32×24" in text
    assert (tmp_path / "photos_photo" / "one.png").is_file()


def test_mistakes_are_explained(pair, tmp_path):
    content, style = pair
    for arguments, message in (
        ((content, *QUICK), "style: a picture"),
        ((content, "--style", style, "--content-mask", style, *QUICK), "both or none"),
        ((content, "--style", style, "--method", "prox", *QUICK), "prox"),
        ((content, "--style", style, "--lam", "-1", *QUICK), "lam"),
        ((content, "--style", style, *QUICK, "-o", content), "would overwrite"),
        ((tmp_path / "missing.png", "--style", style, *QUICK), "no such file"),
    ):
        failed = run(*arguments, code=2)
        assert message in failed.stderr and failed.stdout == "" and "Traceback" not in failed.stderr
