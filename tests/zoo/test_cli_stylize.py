"""`zoo stylize`: files in, files out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from zoo.cli import app
from zoo.tasks.stylize import StylizeSettings, stylize

# the optimisation for a step or two: it is always installed
QUICK = ("--model", "gatys", "--steps", "2", "--style-size", "40")
OPTIONS = {"model": "gatys", "steps": 2, "style_size": 40}


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["stylize", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def fails(*arguments):
    result = run(*arguments, code=2)
    assert result.stdout == "" and "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture
def photo(cartoon, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(cartoon[:24, :32]).save(path)
    return path


@pytest.fixture
def painting(cartoon, tmp_path):
    path = tmp_path / "painting.png"
    Image.fromarray(cartoon[40:80, 60:100]).save(path)
    return path


def pixels(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.array(image)


def test_result_is_the_tasks(photo, painting, tmp_path):
    text = run(photo, "--style", painting, "-o", tmp_path / "out.png", *QUICK).stdout
    expected, info = stylize(Image.open(photo), Image.open(painting), **OPTIONS, return_info=True)
    assert np.array_equal(pixels(tmp_path / "out.png"), np.asarray(expected))
    assert f"-> {info.loss.total:.3f}" in text and "gatys.vgg19_half" in text and "32×24" in text


def test_every_option(photo, painting, tmp_path):
    mask = tmp_path / "mask.png"
    half = np.zeros((24, 32), np.uint8)
    half[:, :16] = 255
    Image.fromarray(half).save(mask)
    options = ["--style", painting, "--style", "gallery:planes", "--weight", "3,1", "--mask", mask, "--mask", "none"]
    options += ["--scale-weight", "1,1", "--scale-weight", "1,0,0", "--intensity", "0.5", "--color", "content"]
    record = json.loads(run(photo, *options, "--size", "30", "--seed", "4", *QUICK, "--json").stdout)[0]
    expected = stylize(
        Image.open(photo),
        [Image.open(painting), "gallery:planes"],
        [3, 1],
        [1, 1, 1, 0, 0],
        0.5,
        [half, None],
        "content",
        30,
        seed=4,
        **OPTIONS,
    )
    assert np.array_equal(pixels(tmp_path / "photo_stylized.png"), np.asarray(expected))
    settings = StylizeSettings.from_dict(record["settings"])
    assert settings.styles == (None, "gallery:planes") and settings.seed == 4 and record["width"] == 30


def test_settings_make_it_again(photo, tmp_path):
    options = ["--style", "gallery:dusk", "--style", "gallery:planes", "--weight", "1,2", "--size", "28", *QUICK]
    first = run(photo, *options, "-o", tmp_path / "a.png", "--json").stdout
    (tmp_path / "record.json").write_text(first)
    again = run(photo, "--settings", tmp_path / "record.json", "-o", tmp_path / "b.png", "--json").stdout
    assert json.loads(again)[0]["settings"] == json.loads(first)[0]["settings"]
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))
    (tmp_path / "plain.json").write_text(json.dumps(json.loads(first)[0]["settings"]))
    changed = run(photo, "--settings", tmp_path / "plain.json", "--intensity", "0.2", "--steps", "1", "--json").stdout
    assert json.loads(changed)[0]["settings"]["intensity"] == 0.2


def test_folder(photo, painting, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("one", "two"):
        Image.open(photo).rotate(90 * (name == "two"), expand=True).save(folder / f"{name}.png")
    records = json.loads(run(folder, "--style", painting, *QUICK, "--json").stdout)
    assert [record["output"] for record in records] == [
        str(tmp_path / "photos_stylized" / f"{name}.png") for name in ("one", "two")
    ]
    assert pixels(records[1]["output"]).shape == (32, 24, 3)


def test_mistakes_are_explained(photo, painting, tmp_path):
    (tmp_path / "wrong.json").write_text('{"intensity": "much"}')
    (tmp_path / "own.json").write_text('{"styles": [null]}')
    (tmp_path / "text.txt").write_text("no picture")
    style = ("--style", painting, *QUICK)
    assert "styles: at least one" in fails(photo, *QUICK)
    assert "no such file" in fails(photo, "--style", tmp_path / "missing.png", *QUICK)
    assert "not a readable image" in fails(tmp_path / "text.txt", *style)
    assert "gallery:dusk" in fails(photo, "--style", "gallery:nothing", *QUICK)
    assert "--weight: numbers" in fails(photo, *style, "--weight", "a")
    assert "style_weights: 1 numbers" in fails(photo, *style, "--weight", "1,2")
    assert "scale_weights: 5 numbers" in fails(photo, *style, "--scale-weight", "1")
    assert "intensity: numbers" in fails(photo, "--settings", tmp_path / "wrong.json", *style)
    assert "name these again" in fails(photo, "--settings", tmp_path / "own.json", *QUICK)
    assert "not JSON" in fails(photo, "--settings", tmp_path / "text.txt", *style)
    assert "would overwrite" in fails(photo, *style, "-o", photo)
    assert "lossless .png" in fails(photo, *style, "-o", tmp_path / "out.jpg")
    assert "is for denoise" in fails(photo, "--style", painting, "--model", "tv2d.isotropic")
