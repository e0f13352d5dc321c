"""Luminance and colours, the reference's contrast, the SNR of Gram matrices, and how small pictures are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from zoo.loading import load
from zoo.models.vgg import STYLE_LAYERS, VGGEncoder
from zoo.prox import Degradation
from zoo.superres.pictures import coloured, gram_snr, luminance, matched, open_reference
from zoo.superres.shrink import degradation, shrink

UNIT = st.floats(0, 1, width=32)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].float() / 255


@given(
    hnp.arrays(np.float32, (1, 3, 4, 5), elements=UNIT),
    hnp.arrays(np.float32, (1, 1, 4, 5), elements=st.floats(-0.5, 1.5, width=32)),
)
def test_luminance_is_kept_and_colours_as_far_as_they_fit(image: np.ndarray, y: np.ndarray) -> None:
    picture, wanted = torch.from_numpy(image), torch.from_numpy(y)
    made = coloured(wanted, picture)
    assert made.min() >= 0 and made.max() <= 1
    torch.testing.assert_close(luminance(made), wanted.clamp(0, 1), atol=2e-5, rtol=0)
    # the differences of the channels keep their ratios: what is lost is saturation only
    mine, theirs = made - luminance(made), picture - luminance(picture)
    assert float((mine * theirs).sum((1,)).min()) >= -1e-6
    torch.testing.assert_close(coloured(luminance(picture), picture), picture, atol=2e-5, rtol=0)


def test_grey_pictures_have_no_colours() -> None:
    y = torch.rand(1, 1, 4, 4)
    assert torch.equal(coloured(y, torch.rand(1, 1, 4, 4)), y) and torch.equal(luminance(y), y)


def test_reference_gets_mean_and_contrast_of_the_small_picture() -> None:
    generator = torch.Generator().manual_seed(0)
    reference = 0.4 + 0.2 * torch.rand(1, 1, 62, 61, generator=generator)
    D = Degradation(3)
    low = 0.6 + 0.012 * torch.randn(1, 1, 20, 20, generator=generator)
    made = matched(reference, low, D)
    small = D(made[..., :60, :60])
    assert float(small.mean()) == pytest.approx(float(low.mean()), abs=1e-4)
    assert float(small.std(correction=0)) == pytest.approx(float(low.std(correction=0)), rel=1e-3)
    # a flat reference has no contrast to give, and is not blown up
    flat = matched(torch.full((1, 1, 30, 30), 0.3), low, D)
    assert float((flat - low.mean()).abs().max()) < 1e-4


def test_gram_snr_is_its_formula() -> None:
    encoder = load("vgg19_half.tiny_imagenet")
    assert isinstance(encoder, VGGEncoder)
    generator = torch.Generator().manual_seed(0)
    truth, image = (torch.rand(1, 1, 32, size, generator=generator) for size in (32, 48))
    power = error = 0.0
    with torch.no_grad():
        maps = [encoder(one.expand(-1, 3, -1, -1), STYLE_LAYERS) for one in (truth, image)]
    for layer in STYLE_LAYERS:
        wanted, found = (m[layer][0].flatten(1).double().numpy() for m in maps)
        wanted, found = (m @ m.T / m.shape[1] for m in (wanted, found))
        power += (wanted**2).sum() / len(wanted) ** 2
        error += ((found - wanted) ** 2).sum() / len(wanted) ** 2
    assert gram_snr(encoder, image, truth) == pytest.approx(10 * np.log10(power / error), abs=1e-3)
    assert gram_snr(encoder, truth, truth) == np.inf


@pytest.mark.parametrize("scale", (2, 3, 4))
def test_small_pictures_are_the_degradation_of_the_truth(cartoon: np.ndarray, scale: int) -> None:
    image = cartoon[:50, :61]
    low, truth = shrink(image, scale)
    height, width = 50 // scale, 61 // scale
    assert np.array_equal(truth, image[: height * scale, : width * scale]) and low.shape == (height, width, 3)
    expected = Degradation(scale)(tensor(truth)).mul(255).round()[0].permute(1, 2, 0).numpy()
    assert np.abs(low - expected).max() <= 1e-3
    bicubic, _ = shrink(Image.fromarray(image), scale, "bicubic")
    # Pillow's own, which takes all pixels of a cell into account as well
    theirs = Image.fromarray(truth).resize((width, height), Image.Resampling.BICUBIC)
    assert np.abs(np.asarray(bicubic).astype(int) - np.asarray(theirs)).max() <= 2


@pytest.mark.parametrize("mode", ("L", "RGB", "RGBA", "LA", "I;16"))
def test_any_mode(cartoon: np.ndarray, mode: str) -> None:
    image = Image.fromarray(cartoon[:31, :32])
    if mode == "I;16":
        image = Image.fromarray(cartoon[:31, :32, 0].astype(np.uint16) * 257)
    elif "A" in mode:
        image.putalpha(Image.linear_gradient("L").resize((32, 31)))
        image = image.convert(mode)
    else:
        image = image.convert(mode)
    low, truth = shrink(image, 3)
    assert (low.mode, low.size) == (mode, (10, 10)) and (truth.mode, truth.size) == (mode, (30, 30))
    assert np.array_equal(np.asarray(truth), np.asarray(image)[:30, :30])


def test_tensors(cartoon: np.ndarray) -> None:
    image = tensor(cartoon)[0, :, :20, :21]
    low, truth = shrink(image, 4)
    torch.testing.assert_close(low, Degradation(4)(image[None, :, :20, :20])[0])
    assert torch.equal(truth, image[:, :20, :20])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((5,), "scale: one of"), ((3, "jpeg"), "degradation: bicubic or gaussian"), ((3, "gaussian"), "at least 3")],
)
def test_refusals(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shrink(np.zeros((2, 9, 3), np.uint8), *arguments)
    with pytest.raises(ValueError, match="degradation"):
        degradation("none", 3)


def test_the_middle_of_a_large_reference() -> None:
    pixels = np.zeros((1040, 40), np.float32)
    pixels[8:1032] = 1
    assert open_reference(pixels, None).shape == (1, 1, 1024, 40) and open_reference(pixels, None).min() == 1
    with pytest.raises(ValueError, match="reference: at least 16"):
        open_reference(pixels[:15], None)
