"""The denoising task: the right picture, of the right kind, for every picture by itself."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

import cuda_src
import zoo
from zoo.images import to_picture
from zoo.models.tv2d import TV2d, total_variation
from zoo.noise import add_noise
from zoo.tasks.denoise import DenoiseInfo, denoise, denoise_steps

MODELS = zoo.list_models("tv2d.*", task="denoise")


def as_tensor(array):
    return torch.from_numpy(np.asarray(array).copy()).permute(2, 0, 1) / 255


@pytest.mark.parametrize("model", MODELS)
def test_is_the_prox_of_every_channel(noisy, model):
    x = as_tensor(noisy)
    exact = cuda_src.prox_tv2d(x.double(), 0.08, mode=model.split(".")[1], tol=1e-9, max_iter=50000)
    result, info = denoise(x, model, lam=0.08, tol=1e-5, return_info=True)
    error = 0.5 * (result - exact).square().sum().item()
    assert error <= info.gap
    assert error / exact.numel() < 1e-6


@pytest.mark.parametrize("model", MODELS)
def test_noise_goes_and_the_picture_stays(cartoon, noisy, model):
    result, info = denoise(noisy, model, reference=cartoon, return_info=True)
    assert info.psnr_noisy == pytest.approx(20.3, abs=0.3)
    assert info.psnr > info.psnr_noisy + 9
    assert info.ssim > 0.8
    assert info.sigma_estimated and info.sigma == pytest.approx(25, rel=0.15)
    assert result.mode == "RGB" and result.size == noisy.size


def test_info_is_true(noisy):
    result, info = denoise(as_tensor(noisy), "tv2d.isotropic", sigma=30, tol=1e-3, return_info=True)
    assert isinstance(info, DenoiseInfo)
    assert (info.model, info.sigma, info.sigma_estimated) == ("tv2d.isotropic", 30, False)
    assert info.lam == pytest.approx(0.8 * 30 / 255)
    distance = 0.5 * (result.double() - as_tensor(noisy).double()).square().sum()
    objective = distance + info.lam * total_variation(result.double(), "isotropic").sum()
    assert info.relative_gap == pytest.approx(info.gap / objective.item(), rel=1e-3)
    assert 0 < info.relative_gap <= 1e-3 and info.iterations >= 1 and info.seconds > 0
    assert info.backend == cuda_src.backend().name
    assert info.psnr is None and info.ssim is None
    assert json.loads(json.dumps(info.to_dict(), allow_nan=False))["sigma"] == 30


def test_infinite_psnr_is_no_number_in_json(cartoon):
    _, info = denoise(cartoon, lam=0, reference=cartoon, return_info=True)
    assert info.psnr == math.inf and info.to_dict()["psnr"] is None


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "I;16", "CMYK", "P", "1"])
def test_pil_kinds(noisy, mode):
    if mode == "I;16":
        image = Image.fromarray(np.asarray(noisy.convert("L")).astype(np.uint16) * 257)
    else:
        image = noisy.convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    result = denoise(image, lam=0.1)
    assert result.mode == {"CMYK": "RGB", "P": "RGB", "1": "L"}.get(mode, mode)
    assert result.size == image.size
    if mode in ("RGBA", "LA"):
        assert np.array_equal(np.asarray(result.getchannel("A")), np.asarray(image.getchannel("A")))
    flat, given = (np.asarray(i.convert("L") if mode != "I;16" else i, dtype=float) for i in (result, image))
    assert np.abs(np.diff(flat)).sum() < 0.8 * np.abs(np.diff(given)).sum()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [None, 1, 3, 4])
def test_numpy_kinds(noisy, dtype, channels):
    array = np.asarray(noisy.convert("RGBA"))[..., :channels] if channels else np.asarray(noisy.convert("L"))
    array = (array.astype(float) * {np.uint8: 1, np.uint16: 257}.get(dtype, 1 / 255)).astype(dtype)
    result = denoise(array, lam=0.05)
    assert result.dtype == dtype and result.shape == array.shape
    assert not np.array_equal(result, array)
    if channels == 4:
        assert np.array_equal(result[..., 3], array[..., 3])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("batched", [False, True])
def test_tensor_kinds(noisy, dtype, batched):
    x = as_tensor(noisy)
    x = (x * 255).to(dtype) if dtype == torch.uint8 else x.to(dtype)
    x = x[None] if batched else x
    result = denoise(x, lam=0.05)
    assert result.dtype == dtype and result.shape == x.shape
    reference = denoise(as_tensor(noisy), lam=0.05)
    scaled = result.float() / (255 if dtype == torch.uint8 else 1)
    torch.testing.assert_close(scaled.reshape(reference.shape), reference, atol=0.01, rtol=0)


@pytest.mark.parametrize("model", MODELS)
def test_each_image_is_denoised_by_itself(cartoon, model):
    clean = as_tensor(cartoon)[:, :40, :48]
    batch = torch.stack([add_noise(clean, sigma, seed=sigma) for sigma in (2, 10, 40, 80)]).clamp(0, 1)
    results, infos = denoise(batch, model, reference=clean.expand_as(batch), return_info=True)
    for i in range(len(batch)):
        alone, info = denoise(batch[i], model, reference=clean, return_info=True)
        assert torch.equal(results[i], alone)
        assert infos[i].to_dict() | {"seconds": 0} == info.to_dict() | {"seconds": 0}
    assert [info.sigma for info in infos] == sorted(info.sigma for info in infos)


def test_one_lam_or_sigma_per_image(noisy):
    batch = as_tensor(noisy)[None].expand(2, -1, -1, -1)
    results = denoise(batch, lam=[0.02, 0.2])
    assert torch.equal(results[1], denoise(batch[1], lam=0.2))
    assert torch.equal(results[0], denoise(batch[0], lam=0.02))
    _, infos = denoise(batch, sigma=torch.tensor([10.0, 20.0]), return_info=True)
    assert [info.sigma for info in infos] == [10, 20]


def test_given_image_is_not_changed(noisy):
    x = as_tensor(noisy)
    array, copy = np.array(noisy), x.clone()
    denoise(noisy, lam=0.1), denoise(x, lam=0.1)
    assert np.array_equal(np.array(noisy), array) and torch.equal(x, copy)


@pytest.mark.parametrize("model", MODELS)
def test_steps_lead_to_the_same_result(noisy, model):
    x = as_tensor(noisy)
    chunk = {"tv2d.anisotropic": 3, "tv2d.isotropic": 30}[model]
    steps = list(denoise_steps(x, model, lam=0.1, chunk=chunk, tol=1e-4, max_iter=5000))
    assert len(steps) > 2
    assert [step.done for step in steps] == [False] * (len(steps) - 1) + [True]
    progress = [step.progress for step in steps]
    assert all(0 <= value <= 1 for value in progress) and progress[-1] == 1
    assert progress[-2] > progress[0]
    gaps = [step.info.relative_gap for step in steps]
    assert gaps[-1] <= 1e-4 < gaps[0]
    made = [step.info.iterations for step in steps]
    assert made[:-1] == [chunk * (i + 1) for i in range(len(steps) - 1)] and made[-2] < made[-1] <= made[-2] + chunk
    torch.testing.assert_close(steps[-1].image, denoise(x, model, lam=0.1), atol=0.01, rtol=0)


@pytest.mark.parametrize("model", MODELS)
def test_pieces_do_not_change_the_result(noisy, model):
    x = as_tensor(noisy)
    whole, info = denoise(x, model, lam=0.1, return_info=True)
    last = list(denoise_steps(x, model, lam=0.1, chunk=10))[-1]
    torch.testing.assert_close(last.image, whole, rtol=0, atol=5e-6)
    assert last.info.iterations == info.iterations


def test_a_step_stays_what_it_was(noisy):
    steps = denoise_steps(as_tensor(noisy), lam=0.1, chunk=1)
    first = next(steps)
    copy = first.image.clone()
    second = next(steps)
    assert torch.equal(first.image, copy) and not torch.equal(first.image, second.image)
    steps.close()


def test_iteration_limit(noisy):
    _, info = denoise(noisy, lam=0.3, tol=1e-9, max_iter=4, return_info=True)
    assert info.iterations == 4 and info.relative_gap > 1e-9


def test_extreme_sizes_and_values():
    for shape in ((1, 1, 1), (3, 1, 7), (1, 9, 1), (2, 3, 3)):
        x = torch.rand(shape)
        assert denoise(x).shape == x.shape
        assert torch.allclose(denoise(x, lam=100.0), x.mean((-2, -1), keepdim=True).expand_as(x), atol=1e-2)
    flat = np.full((30, 40, 3), 200, np.uint8)
    result, info = denoise(flat, return_info=True, reference=flat)
    assert np.array_equal(result, flat) and info.sigma == pytest.approx(0, abs=1e-3)
    assert denoise(np.zeros((9, 9)), lam=0.1).max() == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"image": np.full((4, 4), np.nan)}, ValueError, "NaN"),
        ({"image": np.zeros((0, 4))}, ValueError, "no pixels"),
        ({"image": "noisy.png"}, TypeError, "not str"),
        ({"sigma": -1}, ValueError, "sigma"),
        ({"sigma": math.nan}, ValueError, "sigma"),
        ({"lam": -0.1}, ValueError, "lam"),
        ({"lam": math.inf}, ValueError, "lam"),
        ({"lam": "strong"}, TypeError, "lam"),
        ({"lam": True}, TypeError, "lam"),
        ({"lam": [0.1, 0.2]}, ValueError, "lam"),
        ({"lam": 0.1, "sigma": 25}, ValueError, "one of them"),
        ({"model": "tv2d.isotropc"}, ValueError, "did you mean"),
        ({"tol": 0}, ValueError, "tol"),
        ({"max_iter": 0}, ValueError, "max_iter"),
        ({"max_pixels": 99}, ValueError, "megapixels"),
        ({"reference": np.zeros((10, 11))}, ValueError, "reference"),
        ({"reference": np.zeros((10, 10, 3))}, ValueError, "reference"),
        ({"reference": 3}, TypeError, "reference"),
    ],
)
def test_bad_arguments_are_named_at_once(arguments, error, message):
    with pytest.raises(error, match=message):
        denoise_steps(**{"image": np.zeros((10, 10)), **arguments})


def test_model_for_another_task_is_refused(monkeypatch):
    from zoo import registry

    record = zoo.info("tv2d").to_dict() | {"name": "tv2d.other", "tasks": ["edges"], "default": False}
    entries = {**registry._entries(), "tv2d.other": zoo.Entry.from_dict(record)}
    monkeypatch.setattr(registry, "_entries", lambda: entries)
    with pytest.raises(ValueError, match=r"tv2d\.other is for edges"):
        denoise(np.zeros((4, 4)), "tv2d.other")


def test_total_variation_by_hand():
    image = torch.tensor([[0.0, 3.0], [4.0, 4.0]])
    assert total_variation(image, "anisotropic").item() == pytest.approx(3 + 0 + 4 + 1)
    assert total_variation(image, "isotropic").item() == pytest.approx(5 + 1)


def test_model_is_a_module():
    model = zoo.load("tv2d.isotropic")
    assert isinstance(model, TV2d) and not model.training and repr(model) == "TV2d(mode='isotropic')"
    x = torch.rand(2, 3, 8, 8)
    lam = torch.tensor([0.05, 0.2])
    torch.testing.assert_close(model(x, lam)[1], model(x[1], 0.2), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="lam: a number or one per image"):
        model(x, torch.ones(3))
    with pytest.raises(ValueError, match="mode"):
        TV2d("vectorial")


def test_gradients_flow_through_the_model():
    x = torch.rand(1, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    lam = torch.tensor([0.05], dtype=torch.float64, requires_grad=True)
    model = TV2d()
    assert torch.autograd.gradcheck(lambda x, lam: model(x, lam, tol=1e-13, max_iter=5000), (x, lam), atol=1e-4)


def test_float64_pictures_are_solved_in_float64(noisy):
    x = as_tensor(noisy).double()
    _, info = denoise(x, lam=0.05, tol=1e-9, max_iter=20000, return_info=True)
    assert info.relative_gap <= 1e-9
    assert to_picture(x).tensor.dtype == torch.float64
