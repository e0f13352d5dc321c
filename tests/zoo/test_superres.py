"""`zoo.tasks.texture_super_resolve`: kinds of pictures, engines, guidance, measurement, refusals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo import metrics, registry
from zoo.loading import load
from zoo.models.flexible_solver import FlexibleSolver
from zoo.models.gatys import Gatys
from zoo.models.srcnn import SRCNN
from zoo.prox import Degradation, upsample
from zoo.superres.pictures import luminance
from zoo.superres.ranking import BICUBIC, choose, installed, takes_reference
from zoo.superres.shrink import shrink
from zoo.tasks import texture_super_resolve, texture_super_resolve_steps


def weave(size: int = 96, shift: float = 0.0) -> np.ndarray:
    """A fine two-coloured weave, uint8 (size, size, 3)."""
    y, x = np.mgrid[:size, :size] + shift
    threads = 0.5 + 0.35 * np.sign(np.sin(0.9 * x) * np.sin(0.7 * y)) * np.abs(np.sin(0.45 * (x + y)))
    return (255 * np.stack([threads, 0.8 * threads + 0.1, 0.2 + 0.5 * threads], -1)).astype(np.uint8)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].float() / 255


def test_the_reference_brings_the_texture_back() -> None:
    low, truth = shrink(weave(60))
    reference = weave(64, shift=31.7)
    plain, unguided = texture_super_resolve(low, steps=25, truth=truth, return_info=True)
    guided, info = texture_super_resolve(low, reference, steps=25, truth=truth, return_info=True)
    assert plain.shape == guided.shape == truth.shape and guided.dtype == np.uint8
    assert info.guided and not unguided.guided
    assert info.gram_snr > unguided.gram_snr + 1 > info.gram_snr_bicubic and unguided.psnr > info.psnr_bicubic
    # made small again it is the input, up to the rounding of 8 bits
    assert info.residual < 1 and unguided.residual < 1
    small = Degradation(3)(luminance(tensor(guided)))
    assert float((small - luminance(tensor(low))).square().mean().sqrt()) * 255 < 1.5


def test_what_is_measured() -> None:
    low, truth = shrink(weave(45))
    made, info = texture_super_resolve(low, model="bicubic", truth=truth, return_info=True)
    enlarged = upsample(tensor(low), 3).clamp(0, 1)
    assert np.abs(made - enlarged.mul(255).round()[0].permute(1, 2, 0).numpy()).max() <= 1
    # of the luminance, before the colours are rounded
    expected = float(metrics.psnr(luminance(enlarged), luminance(tensor(truth))))
    assert info.psnr == info.psnr_bicubic == pytest.approx(expected, abs=0.02)
    assert info.gram_snr == info.gram_snr_bicubic and info.objective is None and info.lam is None
    assert (info.height, info.width, info.scale, info.model) == (45, 45, 3, "bicubic")
    assert json.loads(json.dumps(info.to_dict()))["psnr"] == info.psnr
    same = texture_super_resolve(truth[::3, ::3], model="bicubic", truth=made, return_info=True)[1].to_dict()
    assert json.dumps(same, allow_nan=False)
    exact = texture_super_resolve(np.full((8, 8), 90, np.uint8), model="bicubic", return_info=True)[1]
    assert exact.psnr is None and exact.residual == pytest.approx(0, abs=1e-3)


def test_steps_begin_with_interpolation_and_end_with_the_result() -> None:
    low, truth = shrink(weave(30))
    steps = list(texture_super_resolve_steps(low, weave(32), steps=3, truth=truth))
    bicubic = texture_super_resolve(low, model="bicubic")
    assert np.abs(steps[0].image.astype(int) - bicubic).max() <= 1
    assert [step.done for step in steps] == [False, False, False, True]
    assert [step.info.iterations for step in steps] == [0, 1, 2, 3]
    progress = [step.progress for step in steps]
    assert progress == sorted(progress) and progress[0] == 0 and progress[-1] == 1
    assert steps[1].info.psnr is None and steps[-1].info.psnr is not None
    objectives = [step.info.objective for step in steps]
    assert objectives == sorted(objectives, reverse=True)  # type: ignore[type-var]
    assert np.array_equal(steps[-1].image, texture_super_resolve(low, weave(32), steps=3)), "nothing is random"


def test_a_solver_is_kept_to_the_data() -> None:
    torch.manual_seed(0)
    solver = FlexibleSolver(iterations=2, width=2)
    low, _ = shrink(weave(48))
    made, info = texture_super_resolve(low, weave(40), model=solver, return_info=True)
    assert info.iterations == 2 and info.model == "FlexibleSolver" and info.lam == 50 and made.shape == (48, 48, 3)
    loose = texture_super_resolve(low, weave(40), model=solver, lam=0, return_info=True)[1]
    assert info.residual < 0.5 * loose.residual
    # without a reference the solver adds nothing, and only the data count
    _, alone = texture_super_resolve(low, model=solver, steps=1, return_info=True)
    _, other = texture_super_resolve(low, weave(40), model=solver, steps=1, intensity=0, return_info=True)
    assert alone.residual == pytest.approx(other.residual, rel=1e-4)
    with pytest.raises(ValueError, match="steps: this solver has 2"):
        texture_super_resolve(low, model=solver, steps=3)


def test_srcnn_sees_the_enlarged_luminance() -> None:
    torch.manual_seed(0)
    network = SRCNN(factor=3, sizes=(5, 1, 3), widths=(4, 3)).eval()
    low, _ = shrink(weave(42))
    made = texture_super_resolve(low[..., 0], model=network)
    grey = torch.from_numpy(low[..., 0])[None, None].float() / 255
    with torch.no_grad():
        expected = network(upsample(grey, 3).clamp(0, 1)).clamp(0, 1).mul(255).round()[0, 0].numpy()
    assert np.abs(made - expected).max() <= 1
    with pytest.raises(ValueError, match="scale: this SRCNN was trained for 3, got 2"):
        texture_super_resolve(low, scale=2, model=network)
    with pytest.raises(ValueError, match="reference: SRCNN takes none"):
        texture_super_resolve(low, weave(32), model=network)


def test_srcnn_of_a_large_picture_is_that_of_the_whole() -> None:
    torch.manual_seed(0)
    network = SRCNN(factor=3, sizes=(5, 1, 3), widths=(4, 3)).eval()
    low = torch.rand(1, 140, 30)
    steps = list(texture_super_resolve_steps(low, model=network))
    assert len(steps) > 1 and steps[-1].done and not steps[0].done
    with torch.no_grad():
        whole = network(upsample(low[None], 3).clamp(0, 1)).clamp(0, 1)[0]
    torch.testing.assert_close(steps[-1].image, whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("mode", ("L", "LA", "RGB", "RGBA", "I;16", "P"))
@pytest.mark.parametrize("scale", (2, 3, 4))
def test_any_mode(mode: str, scale: int) -> None:
    image = Image.fromarray(weave(96)[:11, :9])
    if mode == "I;16":
        image = Image.fromarray(weave(96)[:11, :9, 0].astype(np.uint16) * 257)
    elif "A" in mode:
        image.putalpha(Image.linear_gradient("L").resize((9, 11)))
        image = image.convert(mode)
    else:
        image = image.convert(mode)
    image.info["icc_profile"] = b"profile"
    made = texture_super_resolve(image, scale=scale, model="bicubic")
    assert made.size == (9 * scale, 11 * scale) and made.mode == ("RGB" if mode == "P" else mode)
    assert made.info.get("icc_profile") == b"profile"
    if "A" in mode:
        alpha = np.asarray(made.getchannel("A")).astype(int)
        assert (np.diff(alpha[:, 4]) >= 0).all() and alpha[-1, 4] > 200 > 50 > alpha[0, 4], "alpha is enlarged too"


@settings(max_examples=10)
@given(st.integers(4, 13), st.integers(4, 13), st.sampled_from((3, 4)), st.sampled_from((1, 3)))
def test_any_size(height: int, width: int, scale: int, channels: int) -> None:
    if min(height, width) * scale < 16:
        return
    low = torch.rand(channels, height, width, generator=torch.Generator().manual_seed(height))
    made = texture_super_resolve(low, weave(20)[:17], scale, steps=1)
    assert made.shape == (channels, height * scale, width * scale) and made.dtype == torch.float32
    assert made.min() >= 0 and made.max() <= 1


@pytest.mark.parametrize("value", (0.0, 0.5, 1.0))
def test_flat_pictures(value: float) -> None:
    low = np.full((8, 8), value, np.float32)
    for reference in (None, weave(32)):
        made, info = texture_super_resolve(low, reference, steps=2, return_info=True)
        assert np.isfinite(made).all() and info.residual < 5


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scale": 5}, ValueError, "scale: one of"),
        ({"scale": True}, ValueError, "scale: one of"),
        ({"lam": -1}, ValueError, "lam: at least 0"),
        ({"lam": float("nan")}, ValueError, "lam: at least 0"),
        ({"intensity": float("inf")}, ValueError, "intensity"),
        ({"steps": 0}, ValueError, "steps"),
        ({"steps": 1.5}, ValueError, "steps"),
        ({"steps": 2, "model": "bicubic"}, ValueError, "one pass"),
        ({"model": "dncnn.sigma25"}, ValueError, "is for denoise"),
        ({"model": "nothing.there"}, ValueError, "unknown model"),
        ({"model": SRCNN, "scale": 3, "truth": np.zeros((23, 24, 3), np.uint8)}, ValueError, "truth: must have"),
        ({"model": torch.nn.Identity}, ValueError, "Identity does not enlarge"),
        ({"reference": np.zeros((8, 40), np.uint8)}, ValueError, "reference: at least 16"),
        ({"reference": np.zeros((20, 20), np.uint8), "model": "bicubic"}, ValueError, "reference: bicubic"),
        ({"reference": "brick"}, TypeError, "reference"),
        ({"low": np.zeros((5, 5), np.uint8)}, ValueError, "low: the result must be at least 16"),
        ({"low": torch.zeros(2, 3, 8, 8)}, ValueError, "low: one picture"),
        ({"low": torch.zeros(2, 8, 8)}, ValueError, "low: one picture"),
        ({"low": np.zeros((400, 400), np.uint8)}, ValueError, "megapixels"),
        ({"low": np.zeros((40, 40), np.uint8), "max_pixels": 10_000}, ValueError, "megapixels"),
        ({"low": "a.png"}, TypeError, "low"),
    ],
)
def test_refusals(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"low": weave(8), **arguments}
    if isinstance(given.get("model"), type):
        given["model"] = given["model"]()
    with pytest.raises(error, match=message):
        texture_super_resolve_steps(given.pop("low"), given.pop("reference", None), given.pop("scale", 3), **given)


def test_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    assert choose().name == "gatys.vgg19_half" == installed()[0].name and isinstance(load(choose().name), Gatys)
    assert "6.84 dB" in choose().reason
    entries = {name: one for name, one in registry._entries().items() if one.arch != "gatys"}
    entries["flexible_solver.n4_l16"] = dataclasses.replace(
        registry.info("gatys"), name="flexible_solver.n4_l16", config={}, default=True
    )
    monkeypatch.setattr(registry, "_entries", lambda: entries)
    assert choose().name == "flexible_solver.n4_l16" == installed()[0].name
    del entries["flexible_solver.n4_l16"]
    assert choose().name == BICUBIC
    monkeypatch.undo()
    assert choose("gatys").reason == "as asked"
    assert takes_reference("auto") and takes_reference("gatys") and not takes_reference("bicubic")
