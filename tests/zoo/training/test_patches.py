"""Test pictures are found among training pictures by content; patches come from everywhere, as they are."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.training.denoise import LEAST_ERROR, Denoise, log_error
from zoo.training.objective import Moment
from zoo.training.patches import Pictures, find_sources, load_pictures, overlaps, random_patches, without
from zoo.training.recipe import Recipe
from zoo.training.sampling import positions


def blobs(seed: int, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))


def test_copies_are_found_by_content() -> None:
    test = blobs(0)
    buffer = io.BytesIO()
    Image.fromarray(test).save(buffer, format="JPEG", quality=40)
    copies = [
        np.asarray(Image.open(buffer)),
        test[:, ::-1],
        np.rot90(test),
        np.asarray(Image.fromarray(test).resize((70, 50))),
    ]
    others = [blobs(seed) for seed in range(1, 60)]
    assert overlaps(copies + others, [blobs(100), test]).tolist() == [True] * 4 + [False] * 59
    assert not overlaps(copies, []).any()


def test_without_names_what_it_left_out() -> None:
    every = Pictures(["a", "b", "c"], [blobs(1), blobs(2), blobs(3)])
    rest, out = without(every, Pictures(["t"], [blobs(2)]))
    assert rest.names == ["a", "c"] and out == ["b"] and len(rest.pixels) == 2


def test_training_leaves_the_test_set_out(recipe: Recipe, tmp_path: Path) -> None:
    for folder, seeds in (("many", range(8)), ("tests", range(6, 9))):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            Image.fromarray(blobs(seed)).save(tmp_path / folder / f"{seed + 50 * (folder == 'tests')}.png")
    assert find_sources(tmp_path, ["many", "absent"]) == [tmp_path / "many"]
    assert len(load_pictures([tmp_path / "many", tmp_path / "tests"]).names) == 11
    recipe.data.update(train=["many"], tests=["tests"])
    train, val, left_out = Denoise(recipe, tmp_path, tmp_path).pictures
    assert sorted(left_out) == ["many: 6.png", "many: 7.png"]
    assert len(train.names) + len(val.names) == 6 and not set(train.names) & set(val.names)


def test_patches_are_cut_and_turned() -> None:
    # each pixel says where it is: red the row, green the column, blue the picture
    pictures = []
    for number in range(2):
        pixels = np.zeros((40, 50, 3), np.uint8)
        pixels[..., 0], pixels[..., 1], pixels[..., 2] = np.arange(40)[:, None], np.arange(50)[None], number
        pictures.append(pixels)
    patches = random_patches(pictures, 400, 8, torch.Generator().manual_seed(0)).long()
    assert patches.shape == (400, 3, 8, 8)
    assert 100 < (patches[:, 2, 0, 0] == 0).sum() < 300
    # neighbours along one axis differ by one row, along the other by one column
    rows, columns = patches[:, 0], patches[:, 1]
    turned = rows.diff(dim=1).abs().amax((1, 2)) == 0
    assert 120 < turned.sum() < 280
    upright = ~turned
    assert (rows[upright].diff(dim=1).abs() == 1).all() and (rows[upright].diff(dim=2) == 0).all()
    assert (columns[turned].diff(dim=1).abs() == 1).all()
    assert {-1, 1} == set(rows[upright].diff(dim=1).unique().tolist())
    assert rows.min() == 0 and rows.max() == 39 and columns.min() == 0 and columns.max() == 49


def moment(step: int, rank: int = 0, world: int = 1) -> Moment:
    return Moment(step, 0.0, {}, torch.Generator(), torch.device("cpu"), rank, world)


def test_all_processes_together_see_each_example_once_an_epoch() -> None:
    seen = [positions(moment(step, rank, 2), 30, 5, 0) for step in range(3) for rank in range(2)]
    assert sorted(np.concatenate(seen).tolist()) == list(range(30))
    again = [positions(moment(step, rank, 2), 30, 5, 0) for step in range(3, 6) for rank in range(2)]
    assert sorted(np.concatenate(again).tolist()) == list(range(30))
    assert not np.array_equal(np.concatenate(seen), np.concatenate(again))
    # across the border of two epochs
    assert sorted(np.concatenate([positions(moment(step), 7, 3, 1) for step in range(7)]).tolist()) == sorted(
        [*range(7)] * 3
    )


def test_logarithmic_loss_is_a_mean_of_psnr() -> None:
    clean = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    scale = torch.tensor([0.3, 0.1, 0.05]).view(3, 1, 1, 1)
    off = clean + scale * (1 - 2 * (torch.arange(8) % 2))
    mean_psnr = float(-10 * scale.square().add(LEAST_ERROR).log10().mean())
    assert float(log_error(off, clean)) == pytest.approx(-mean_psnr * np.log(10) / 10, rel=1e-5)
    assert log_error(clean, clean).isfinite()
