from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from typer.testing import CliRunner

from zoo import registry
from zoo.cli import app
from zoo.evaluation.denoising import evaluate_denoiser, mean_scores
from zoo.evaluation.golden import differences, golden, golden_picture
from zoo.evaluation.paper import paper_psnr
from zoo.models.dncnn import DnCNN


@pytest.fixture
def pictures(cartoon: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "cbsd68.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, pixels in (("b.png", cartoon), ("a.png", cartoon[:, ::-1])):
            Image.fromarray(pixels).save(tmp_path / name)
            archive.write(tmp_path / name, name)
    return path


def test_scores_are_those_of_independent_code(pictures: Path, cartoon: np.ndarray) -> None:
    scores = list(evaluate_denoiser(lambda noisy: noisy * 0.9, pictures, 25, seed=3))
    assert [score.image for score in scores] == ["a.png", "b.png"]
    noise = torch.randn(3, *cartoon.shape[:2], generator=torch.Generator().manual_seed(4)).permute(1, 2, 0).numpy()
    noisy = cartoon / 255.0 + noise * 25 / 255
    restored = np.clip(np.round(noisy * 0.9 * 255), 0, 255).astype(np.uint8)
    assert scores[1].psnr == pytest.approx(peak_signal_noise_ratio(cartoon, restored), abs=1e-3)
    clipped = np.clip(np.round(noisy * 255), 0, 255).astype(np.uint8)
    assert scores[1].psnr_noisy == pytest.approx(peak_signal_noise_ratio(cartoon, clipped), abs=1e-3)
    assert 0 < scores[1].ssim < 1  # type: ignore[operator]


def test_means_stand_beside_the_papers(pictures: Path) -> None:
    scores = list(evaluate_denoiser(lambda noisy: noisy, pictures, 25))
    psnr, ssim = mean_scores(scores, "dncnn_tv.sigma25", pictures, 25)
    assert psnr["value"] == pytest.approx(sum(score.psnr for score in scores) / 2, abs=1e-3)
    assert (psnr["dataset"], psnr["paper_value"]) == ("CBSD68", 31.26)
    assert ssim["metric"] == "SSIM" and "sigma 25, 2 pictures" in ssim["settings"]
    assert paper_psnr("dncnn.sigma50", "kodak24", 50) == 28.95
    assert paper_psnr("dncnn.sigma50", "kodak24", 15) is None
    assert paper_psnr("dncnn.sigma50", "kodak24", 25.5) is None


def test_limit_and_refusals(pictures: Path, tmp_path: Path) -> None:
    assert len(list(evaluate_denoiser(lambda noisy: noisy, pictures, 25, limit=1))) == 1
    (tmp_path / "empty").mkdir()
    for model, data, sigma, message in (
        ("vgg19_half", pictures, 25.0, "model"),
        (lambda noisy: noisy, tmp_path / "empty", 25.0, "no pictures"),
        (lambda noisy: noisy, pictures, -1.0, "sigma"),
    ):
        with pytest.raises(ValueError, match=message):
            list(evaluate_denoiser(model, data, sigma))


def test_command(pictures: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "tv2d", "--data", str(pictures), "--sigma", "20", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["model"] == "tv2d.anisotropic" and len(report["images"]) == 2
    assert report["mean"][0]["value"] > report["images"][0]["psnr_noisy"] + 3
    table = CliRunner().invoke(app, ["evaluate", "tv2d", "--data", str(pictures), "--limit", "1"])
    assert "mean" in table.stdout and "a.png" in table.stdout


def test_a_run_that_is_not_installed(pictures: Path, tmp_path: Path) -> None:
    """The folder of a finished run is measured as the model that it holds."""
    run = tmp_path / "run"
    run.mkdir()
    entry = registry.info("dncnn.sigma25")
    shutil.copy(registry.weights_path(entry), run)
    registry.write_entry(entry, run)
    given, named = (
        CliRunner().invoke(app, ["evaluate", name, "--data", str(pictures), "--limit", "1", "--json"])
        for name in (str(run), "dncnn.sigma25")
    )
    assert given.exit_code == 0, given.output
    assert json.loads(given.stdout) == json.loads(named.stdout)
    refused = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--data", str(pictures)])
    assert refused.exit_code != 0 and "neither a finished training run" in refused.output


def test_golden_notices_a_change() -> None:
    picture = golden_picture()
    assert picture.shape == (1, 3, 48, 48) and picture.min() >= 0 and picture.max() <= 1
    torch.manual_seed(0)
    model = DnCNN(depth=3, width=4)
    expected = golden(model)
    assert differences(golden(model), expected) == []
    with torch.no_grad():
        model.convs[1].weight.mul_(1.2)
    assert differences(golden(model), expected)
    assert differences({}, expected)
