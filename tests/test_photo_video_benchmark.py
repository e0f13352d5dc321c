"""The benchmark of photographs and videos: pairs and frames are found, measured, and put into tables and sheets."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("cv2")

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks are no part of the package

from benchmarks import photo_video  # noqa: E402
from zoo.evaluation.photo import evaluate_photo, photo_pairs, summarise_photo  # noqa: E402
from zoo.evaluation.video import evaluate_video, sequences, warping_error  # noqa: E402


@pytest.fixture
def pairs(tmp_path: Path, cartoon: np.ndarray) -> Path:
    """An archive of three pairs, the second without maps."""
    image = Image.fromarray(cartoon)
    stripes = np.zeros((48, 64, 3), np.uint8)
    stripes[:, 32:] = (0, 255, 0)
    with zipfile.ZipFile(tmp_path / "pairs.zip", "w") as archive:
        for number in range(3):
            for folder, picture in (
                ("content", image),
                ("style", image.rotate(180)),
                ("content_mask", Image.fromarray(stripes)),
                ("style_mask", Image.fromarray(stripes)),
            ):
                if number == 1 and folder == "style_mask":
                    continue
                picture.save(tmp_path / "one.png")
                archive.write(tmp_path / "one.png", f"{folder}/{number:02}.png")
    return tmp_path / "pairs.zip"


@pytest.fixture
def video(tmp_path: Path, cartoon: np.ndarray) -> Path:
    """A folder of two sequences of three frames that move to the left."""
    for name in ("a", "b"):
        (tmp_path / "video" / name).mkdir(parents=True)
        for index in range(3):
            Image.fromarray(cartoon[:64, 2 * index : 2 * index + 96]).save(tmp_path / "video" / name / f"{index}.png")
    return tmp_path / "video"


def test_pairs_are_measured(pairs: Path) -> None:
    found = list(photo_pairs(pairs))
    assert [pair.name for pair in found] == ["00", "01", "02"]
    assert [pair.style_mask is None for pair in found] == [False, True, False]
    assert [pair.name for pair in photo_pairs(pairs, limit=2)] == ["00", "01"]
    scores = list(evaluate_photo(found[:1], ("plain", "luan", "smooth"), size=32, steps=2))
    assert [one.method for one in scores] == ["plain", "luan", "smooth"]
    assert all(one.edge_ssim is not None and one.edge_ssim <= 1 and one.l_tv is not None for one in scores)
    records = summarise_photo(scores)
    assert records[0]["l_tv"] == scores[0].l_tv and records[2]["pairs"] == 1
    json.dumps(records + [one.to_dict() for one in scores])
    rows = photo_video.photo_rows(records)
    assert len({len(row) for row in rows}) == 1 and rows[1][0] == "plain"
    sheet = photo_video.photo_sheet(found[:1], scores)
    assert sheet.height == photo_video.HEIGHT and sheet.width > 4 * photo_video.HEIGHT
    with pytest.raises(ValueError, match="methods: of"):
        list(evaluate_photo(found, ("magic",)))


def test_sequences_are_measured(video: Path) -> None:
    named = list(sequences(video, 48, 2))
    assert [name for name, _ in named] == ["a", "b"] and [len(frames) for _, frames in named] == [2, 2]
    assert named[0][1][0].shape == (1, 3, 32, 48)
    scores = list(evaluate_video(named[:1], "gatys", steps=2))
    assert [one.temporal for one in scores] == ["inside", "after", "off"]
    assert scores[1].error < scores[2].error
    rows = photo_video.video_rows(scores)
    assert len({len(row) for row in rows}) == 1 and rows[-1][5] == "100%"
    assert photo_video.video_sheet(scores).height == 3 * photo_video.HEIGHT + 2 * photo_video.GAP
    json.dumps([one.to_dict() for one in scores])


def test_warping_error_is_zero_for_what_moves_along() -> None:
    generator = torch.Generator().manual_seed(0)
    ground = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 20, generator=generator), (64, 128), mode="bicubic")
    frames = [ground[..., 3 * i : 3 * i + 96].clamp(0, 1) for i in range(3)]
    assert warping_error(frames, frames) < 1e-4
    flicker = [frame + 0.1 * (-1) ** i for i, frame in enumerate(frames)]
    assert warping_error(frames, flicker) == pytest.approx(0.04, rel=0.1)
    with pytest.raises(ValueError, match="at least 2"):
        warping_error(frames[:1], frames[:1])


def test_the_script(pairs: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    options = ["--pairs", pairs, "--video", video, "--size", 32, "--limit", 1, "--frames", 2, "--steps", 1]
    options += [
        "--methods",
        "luan",
        "--model",
        "gatys",
        "--threads",
        torch.get_num_threads(),
        "--out",
        tmp_path / "out",
    ]
    monkeypatch.setattr(sys, "argv", ["photo_video", *map(str, options)])
    photo_video.main()
    assert "of frame by frame" in capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "photo_video.json").read_text())
    assert [record["method"] for record in results["photo"]["summary"]] == ["luan"] and len(results["video"]) == 6
    assert "luan" in (tmp_path / "out" / "photo_video.txt").read_text()
    assert Image.open(tmp_path / "out" / "video.png").height > 6 * photo_video.HEIGHT


def test_data_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pairs"):
        list(photo_pairs(tmp_path))
    with pytest.raises(ValueError, match="two frames"):
        list(sequences(tmp_path, 32))
