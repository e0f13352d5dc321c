"""Shared by all tests: few threads, no network, pictures that need no files."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# read when huggingface_hub is imported, so before any import of the zoo
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import hypothesis
import numpy as np
import pytest
import torch
from PIL import Image

# a deadline would be a timed assertion
hypothesis.settings.register_profile("zoo", deadline=None, max_examples=30)
hypothesis.settings.load_profile("zoo")
torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(scope="session")
def cartoon() -> np.ndarray:
    """(96, 128, 3) uint8: flat regions with straight and round edges, and a ramp; no pixel is black or white."""
    y, x = np.mgrid[:96, :128]
    picture = np.full((96, 128, 3), (60, 90, 120), dtype=np.uint8)
    picture[16:56, 12:60] = (200, 70, 50)
    picture[(x - 88) ** 2 + (y - 40) ** 2 < 24**2] = (230, 210, 80)
    picture[72:, :] = (40 + x[72:] // 2)[..., None]
    return picture


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    """A picture as the bytes of a file."""

    def encode(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
        sink = io.BytesIO()
        image.save(sink, format, **options)
        return sink.getvalue()

    return encode


@pytest.fixture
def noisy(cartoon: np.ndarray) -> Image.Image:
    """`cartoon` as a PIL image with noise of 25."""
    from zoo.noise import add_noise

    return add_noise(Image.fromarray(cartoon), 25, seed=7)


@pytest.fixture
def install_denoiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Puts a small untrained network into the registry, in place of the zoo's own; call it with name and levels."""
    from zoo import checkpoints, registry
    from zoo.models.dncnn import DnCNN

    folder = tmp_path / "weights"
    folder.mkdir()
    entries = {name: entry for name, entry in registry._entries().items() if not name.startswith("dncnn")}
    monkeypatch.setattr(registry, "_entries", lambda: entries)
    monkeypatch.setattr(registry, "WEIGHTS", folder)

    def install(name: str, noise: tuple[float, float] | None, psnr: float | None = None) -> registry.Entry:
        torch.manual_seed(len(entries))
        config = {"channels": 3, "depth": 3, "width": 4}
        module = DnCNN(**config, tv=name.startswith("dncnn_tv"))
        path = folder / f"{name}.safetensors"
        tv = registry.info("tv2d.anisotropic")
        entries[name] = dataclasses.replace(
            tv,
            name=name,
            config=config,
            input=dataclasses.replace(tv.input, channels=3, control=None, noise=noise),
            num_params=sum(parameter.numel() for parameter in module.parameters()),
            file=path.name,
            sha256=checkpoints.save_checkpoint(path, module, name=name, config=config),
            size_bytes=path.stat().st_size,
            metrics=() if psnr is None else (registry.Metric("x", "PSNR", psnr),),
            default=False,
        )
        return entries[name]

    return install
