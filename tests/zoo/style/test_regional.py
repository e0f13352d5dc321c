"""The loss with a style for each region, against numpy and against the loss of one style."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo.models.vgg import STYLE_LAYERS, VGGEncoder
from zoo.prox import Photorealism
from zoo.style.gatys import gatys_steps
from zoo.style.loss import content_target, loss_terms, style_targets
from zoo.style.regional import Area, masked_gram, masked_targets, regional_terms


@pytest.fixture(scope="module")
def encoder() -> VGGEncoder:
    torch.manual_seed(0)
    made = VGGEncoder(width=2).double().eval().requires_grad_(False)
    for conv in made.convs.values():
        torch.nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return made


def picture(height: int = 32, width: int = 48, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def half(height: int = 32, width: int = 48) -> torch.Tensor:
    mask = torch.zeros(1, 1, height, width, dtype=torch.float64)
    mask[..., : width // 2] = 1
    return mask


def test_gram_of_a_region_is_that_of_its_pixels() -> None:
    features = torch.randn(1, 4, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = features[0, :, :, :4].reshape(4, -1).numpy()
    np.testing.assert_allclose(masked_gram(features, half(6, 8))[0].numpy(), rows @ rows.T / 24, rtol=1e-12)
    np.testing.assert_allclose(masked_gram(features, half(24, 32)), masked_gram(features, half(6, 8)), rtol=1e-12)
    assert (masked_gram(features, torch.zeros(1, 1, 6, 8)) == 0).all()


def test_one_region_of_everything_is_the_plain_loss(encoder: VGGEncoder) -> None:
    x, content, style = picture(), picture(seed=1), picture(24, 40, 2)
    betas = [1.0, 0.0, 2.0, 1.0, 0.5]
    target = content_target(encoder, content)
    plain = loss_terms(encoder, x, style_targets(encoder, style), target, betas)
    everywhere = torch.ones(1, 1, 32, 48)
    (grams,) = masked_targets(encoder, style, [torch.ones(1, 1, 24, 40)])
    found = regional_terms(encoder, x, [Area(grams, everywhere)], target, betas)
    for name in ("style", "content", "tv"):
        torch.testing.assert_close(getattr(found, name), getattr(plain, name))


def test_regions_add_up_by_their_shares(encoder: VGGEncoder) -> None:
    x, target = picture(), content_target(encoder, picture(seed=1))
    first, second = (style_targets(encoder, picture(seed=seed)) for seed in (2, 3))
    quarter = torch.zeros(1, 1, 32, 48, dtype=torch.float64)
    quarter[..., :12] = 1
    both = regional_terms(encoder, x, [Area(first, quarter), Area(second, 1 - quarter)], target)
    parts = [regional_terms(encoder, x, [area], target) for area in (Area(first, quarter), Area(second, 1 - quarter))]
    torch.testing.assert_close(both.style, parts[0].style + parts[1].style)
    features = encoder(x, STYLE_LAYERS)
    layer = STYLE_LAYERS[0]
    rows = features[layer][0, :, :, :12].reshape(2, -1).numpy()
    far = np.square(rows @ rows.T / rows.shape[1] - first[layer][0].numpy()).mean()
    alpha = sum(float(matrix.square().mean()) for matrix in first.values())
    assert float(parts[0].style[0, 0]) == pytest.approx(0.25 * far / alpha, rel=1e-6)


def test_the_optimisation_goes_down_in_both_and_obeys_a_penalty() -> None:
    import zoo

    encoder = zoo.load("vgg19_half.tiny_imagenet").requires_grad_(False)
    assert isinstance(encoder, VGGEncoder)
    content = torch.full((1, 3, 32, 48), 0.5)
    content[..., 10:20, :] = 0.8
    left = half().float()
    styles = [torch.tensor(c).view(1, 3, 1, 1).expand(1, 3, 32, 32) for c in ([0.9, 0.2, 0.1], [0.1, 0.2, 0.9])]
    areas = [Area(style_targets(encoder, s), m) for s, m in zip(styles, (left, 1 - left), strict=True)]
    *_, last = gatys_steps(encoder, content, areas, iterations=12)
    red, blue = last.image[..., :16].mean((0, 2, 3)), last.image[..., -16:].mean((0, 2, 3))
    assert red[0] > red[2] + 0.1 and blue[2] > blue[0] + 0.1
    # with a heavy matting term the result stays an affine function of the content's colours
    photo = Photorealism(content, 1.0)
    *_, bound = gatys_steps(encoder, content, areas, iterations=12, penalty=Photorealism(content, 1e4).penalty)
    assert photo.penalty(bound.image) < 0.1 * photo.penalty(last.image)
    *_, started = gatys_steps(encoder, content, areas, iterations=0, start=bound.image)
    assert torch.equal(started.image, bound.image)
