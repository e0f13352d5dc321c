"""The denoising job with a network: any DnCNN of the registry, here a small untrained one."""

import dataclasses
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from zoo import checkpoints, precision, registry
from zoo.models.dncnn import DnCNN
from zoo.noise import add_noise
from zoo.tasks import denoise
from zoo.tasks.denoise import denoise_steps


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are compared with those of the network itself, in float32."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)


@pytest.fixture
def network(tmp_path, monkeypatch) -> DnCNN:
    """`dncnn.test` in the registry, and the module itself."""
    torch.manual_seed(0)
    config = {"channels": 3, "depth": 3, "width": 8}
    module = DnCNN(**config).eval()
    sha256 = checkpoints.save_checkpoint(tmp_path / "dncnn.test.safetensors", module, name="dncnn.test", config=config)
    entry = dataclasses.replace(
        registry.info("tv2d.anisotropic"),
        name="dncnn.test",
        config=config,
        input=dataclasses.replace(registry.info("tv2d.anisotropic").input, channels=3, control=None),
        num_params=sum(p.numel() for p in module.parameters()),
        file="dncnn.test.safetensors",
        size_bytes=(tmp_path / "dncnn.test.safetensors").stat().st_size,
        sha256=sha256,
        default=False,
    )
    real = registry.info
    monkeypatch.setattr(registry, "info", lambda name: entry if name == "dncnn.test" else real(name))
    job = sys.modules["zoo.tasks.denoise"]  # `zoo.tasks.denoise` is the function
    monkeypatch.setattr(job, "load", lambda name, device=None: module.to(device))
    return module


def test_result_is_one_pass_of_the_network(network, cartoon):
    picture, info = denoise(Image.fromarray(cartoon), "dncnn.test", sigma=25, reference=cartoon, return_info=True)
    x = torch.from_numpy(cartoon.copy()).permute(2, 0, 1)[None].float() / 255
    expected = network(x)[0].detach().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    assert np.abs(np.asarray(picture).astype(int) - expected.astype(int)).max() <= 1
    assert (info.sigma, info.sigma_estimated, info.lam, info.gap) == (25, False, None, None)
    assert info.psnr is not None and info.to_dict()["relative_gap"] is None


def test_large_pictures_come_tile_by_tile(network):
    x = torch.rand(3, 500, 800)
    steps = list(denoise_steps(x, "dncnn.test"))
    assert len(steps) == 6 and steps[-1].done and not steps[0].done
    torch.testing.assert_close(steps[-1].image, network(x[None])[0].detach(), rtol=0, atol=1e-5)
    assert steps[-1].info.sigma_estimated and steps[-1].info.sigma > 0


def test_grey_pictures_and_other_channels(network):
    grey = torch.rand(1, 20, 30)
    expected = network(grey[None].expand(-1, 3, -1, -1)).mean(1).detach()
    torch.testing.assert_close(denoise(grey, "dncnn.test"), expected, rtol=0, atol=1e-5)


def test_a_network_has_no_lam(network):
    with pytest.raises(ValueError, match="lam"):
        denoise(torch.rand(3, 8, 8), "dncnn.test", lam=0.1)


def test_bfloat16_costs_next_to_nothing(monkeypatch: pytest.MonkeyPatch, cartoon) -> None:
    noisy = add_noise(Image.fromarray(cartoon), 25, seed=3)
    found = []
    for half in (False, True):
        monkeypatch.setattr(precision, "has_bfloat16", lambda device, half=half: half)
        _, info = denoise(noisy, "dncnn.sigma25", sigma=25, reference=cartoon, return_info=True)
        found.append(info.psnr)
    assert found[0] != found[1] and found[1] > found[0] - 0.05
