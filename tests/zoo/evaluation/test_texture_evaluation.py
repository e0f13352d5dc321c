"""Super-resolution on held-out textures drawn here: which crops, what is measured, the verb."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from zoo.cli import app
from zoo.evaluation.superres import evaluate_superres, methods, summarise, texture_crops
from zoo.evaluation.textures import held_out_textures, split_textures
from zoo.superres.shrink import shrink


@pytest.fixture
def textures(tmp_path: Path) -> Path:
    """Two kinds with three textures each; half of them are held out."""
    draw = np.random.default_rng(0)
    for kind in ("dots", "lines"):
        folder = tmp_path / "textures" / kind
        folder.mkdir(parents=True)
        for number in range(3):
            pixels = np.kron(draw.integers(0, 255, (20, 30, 3)), np.ones((3, 3, 1))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{kind}_{number}.png")
    return tmp_path / "textures"


def test_forty_textures_of_the_set_are_kept_from_training() -> None:
    names = [f"{kind}/{number:03}.jpg" for kind in "abcdefghij" for number in range(33)]
    held = held_out_textures(names[::-1])
    assert len(set(held)) == 40 and {sum(name.startswith(kind) for name in held) for kind in "abcdefghij"} == {4}


def test_crops_are_of_textures_held_out_and_share_nothing_with_the_reference(textures: Path) -> None:
    train, held = split_textures(textures)
    crops = list(texture_crops(textures, side=32))
    assert [crop.name for crop in crops] == held and not set(held) & set(train)
    for crop in crops:
        whole = np.asarray(Image.open(textures / crop.name))
        assert crop.truth.shape == (30, 30, 3) and crop.low.shape == (10, 10, 3)
        assert np.array_equal(crop.low, shrink(crop.truth, 3)[0])
        sides = {name: half for name, half in zip("lr", np.split(whole, 2, 1), strict=True)}
        (side,) = (name for name, half in sides.items() if np.array_equal(half, crop.reference))
        other = sides["l" if side == "r" else "r"]
        windows = np.lib.stride_tricks.sliding_window_view(other, (30, 30, 3))
        assert (windows == crop.truth).all((2, 3, 4, 5)).any(), "the crop comes from the other half"
    again = list(texture_crops(textures, side=32))
    assert all(np.array_equal(a.truth, b.truth) for a, b in zip(crops, again, strict=True))
    moved = list(texture_crops(textures, side=32, seed=1))
    assert not all(np.array_equal(a.truth, b.truth) for a, b in zip(crops, moved, strict=True))


def test_references_of_the_same_kind(textures: Path) -> None:
    crops = list(texture_crops(textures, side=32, reference="kind"))
    names = [crop.name for crop in crops]
    for crop in crops:
        kin = [name for name in names if Path(name).parent == Path(crop.name).parent]
        other = kin[(kin.index(crop.name) + 1) % len(kin)]
        assert np.array_equal(crop.reference, np.asarray(Image.open(textures / other))[:, :45])


def test_refusals(textures: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reference: one of"):
        next(texture_crops(textures, reference="any"))
    (tmp_path / "tiny").mkdir()
    for number in range(2):
        Image.new("RGB", (20, 20)).save(tmp_path / "tiny" / f"{number}.png")
    with pytest.raises(ValueError, match="too small"):
        next(texture_crops(tmp_path / "tiny"))
    (tmp_path / "tiny" / "0.png").unlink()
    with pytest.raises(ValueError, match="fewer than 2"):
        next(texture_crops(tmp_path / "tiny"))
    with pytest.raises(ValueError, match="is for"):
        methods("tv2d")


def test_the_verb_prints_the_means_of_what_was_measured(textures: Path) -> None:
    arguments = ["evaluate", "gatys", "--task", "superres", "--data", str(textures), "--steps", "1", "--limit", "2"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    names = ["bicubic", "gatys.vgg19_half unguided", "gatys.vgg19_half guided"]
    assert [one["method"] for one in record["mean"]] == names
    crops = list(texture_crops(textures, limit=2))
    scores = list(evaluate_superres(crops, methods("gatys"), steps=1))
    for mine, theirs in zip(summarise(scores), record["mean"], strict=True):
        assert mine["crops"] == theirs["crops"] == 2
        assert mine["psnr"] == pytest.approx(theirs["psnr"]) and mine["gram_snr"] == pytest.approx(theirs["gram_snr"])
    values = [score.psnr for score in scores if score.method == "bicubic"]
    assert record["mean"][0]["psnr"] == pytest.approx(sum(values) / 2)
    text = CliRunner().invoke(app, arguments).stdout
    assert text.count("\n") == 4 and "Gram SNR" in text and f"{record['mean'][2]['gram_snr']:.2f}" in text
