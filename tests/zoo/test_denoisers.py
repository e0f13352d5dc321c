"""The choice of a denoiser by noise level, with small untrained networks in the registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import zoo
from zoo import denoisers, registry
from zoo.cli import app
from zoo.entry import Entry
from zoo.noise import add_noise
from zoo.tasks import denoise

Install = Callable[..., Entry]


@pytest.fixture
def networks(install_denoiser: Install) -> None:
    install_denoiser("dncnn.sigma25", (25, 25), 31.0)
    install_denoiser("dncnn_tv.sigma25", (25, 25), 31.1)
    install_denoiser("dncnn_tv.sigma50", (50, 50))
    install_denoiser("dncnn_tv.blind", (0, 55))


def test_without_networks_it_is_total_variation(install_denoiser: Install) -> None:
    assert [entry.name for entry in denoisers.installed()] == ["tv2d.anisotropic", "tv2d.isotropic"]
    assert denoisers.default() == denoisers.choose(25) == "tv2d.anisotropic"


@pytest.mark.parametrize(
    ("sigma", "model"),
    [
        (0, "dncnn_tv.blind"),
        (15, "dncnn_tv.blind"),
        (22.6, "dncnn_tv.sigma25"),  # as good as dncnn.sigma25 by its level, and better by its record
        (25, "dncnn_tv.sigma25"),
        (28, "dncnn_tv.blind"),
        (47, "dncnn_tv.sigma50"),
        (58, "dncnn_tv.blind"),
        (80, "tv2d.anisotropic"),
    ],
)
def test_choice(networks: None, sigma: float, model: str) -> None:
    assert denoisers.choose(sigma) == model


def test_what_is_offered(networks: None, install_denoiser: Install) -> None:
    names = [entry.name for entry in denoisers.installed()]
    assert names[0] == denoisers.default() == "dncnn_tv.blind"
    assert names[-2:] == ["tv2d.anisotropic", "tv2d.isotropic"] and len(names) == 6
    absent = install_denoiser("dncnn.sigma50", (50, 50))
    (registry.WEIGHTS / str(absent.file)).unlink()
    assert "dncnn.sigma50" not in [entry.name for entry in denoisers.installed()], "its weights are not on this machine"


def test_one_level_is_no_default(install_denoiser: Install) -> None:
    install_denoiser("dncnn.sigma25", (25, 25))
    assert denoisers.default() == "tv2d.anisotropic"
    assert denoisers.choose(26) == "dncnn.sigma25"
    assert denoisers.choose(40) == "tv2d.anisotropic"


def test_levels_in_words(networks: None) -> None:
    assert denoisers.levels(registry.info("dncnn.sigma25")) == "σ = 25"
    assert denoisers.levels(registry.info("dncnn_tv.blind")) == "σ from 0 to 55"
    assert denoisers.levels(registry.info("tv2d")) == ""


def test_auto(networks: None) -> None:
    x = torch.rand(3, 20, 24)
    result, info = denoise(x, "auto", sigma=50, return_info=True)
    assert (info.model, info.sigma, info.warning) == ("dncnn_tv.sigma50", 50, None)
    torch.testing.assert_close(result, denoise(x, "dncnn_tv.sigma50"), rtol=0, atol=0)
    assert denoise(x, "auto", lam=0.1, return_info=True)[1].model == "tv2d.anisotropic"
    noisy = add_noise(torch.full((3, 128, 128), 0.5), 25)
    _, info = denoise(noisy, "auto", return_info=True)
    assert info.model == "dncnn_tv.sigma25" and info.sigma_estimated
    both = torch.stack([noisy, noisy])
    assert {one.model for one in denoise(both, "auto", sigma=[24, 26], return_info=True)[1]} == {"dncnn_tv.sigma25"}
    with pytest.raises(ValueError, match=r"dncnn_tv\.sigma25, dncnn_tv\.sigma50.*one by one"):
        denoise(both, "auto", sigma=[25, 50])


def test_a_level_that_was_not_trained_is_said(networks: None) -> None:
    x = torch.rand(3, 20, 24)
    _, info = denoise(x, "dncnn.sigma25", sigma=10, return_info=True)
    assert info.warning == "it was trained for σ = 25, and the noise is 10: dncnn_tv.blind fits better"
    assert denoise(x, "dncnn.sigma25", sigma=27, return_info=True)[1].warning is None
    assert "about 0" in str(denoise(torch.zeros(3, 64, 64), "dncnn.sigma25", return_info=True)[1].warning)
    assert denoise(x, "tv2d.anisotropic", sigma=90, return_info=True)[1].warning is None


def test_command_line(networks: None, tmp_path: Path, cartoon) -> None:
    source = tmp_path / "noisy.png"
    add_noise(Image.fromarray(cartoon), 50).save(source)
    result = CliRunner().invoke(app, ["denoise", str(source), "--sigma", "50"])
    assert result.exit_code == 0 and "dncnn_tv.sigma50" in result.stdout and "lam" not in result.stdout
    result = CliRunner().invoke(app, ["denoise", str(source), "--sigma", "50", "--model", "dncnn.sigma25"])
    assert "noisy.png, dncnn.sigma25: it was trained for σ = 25, and the noise is 50" in result.stderr
    help_ = CliRunner().invoke(app, ["denoise", "--help"]).stdout
    assert "Gaussian" in help_ and "auto" in help_ and "phones" in help_


def test_networks_of_the_zoo_say_what_they_were_trained_for() -> None:
    """If this fails after an installation: `noise` belongs into `[release.input]` of the recipe."""
    for name in zoo.list_models(task="denoise"):
        entry = zoo.info(name)
        assert (entry.input.noise is not None) == denoisers.is_network(entry), name
