"""Gatys' optimisation: it goes down, further than gradient descent, and ends with what it says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo
from zoo import precision
from zoo.gallery import paint
from zoo.images import to_picture
from zoo.models.vgg import VGGEncoder
from zoo.style import gatys
from zoo.style.gatys import gatys_steps
from zoo.style.loss import content_target, style_targets, total_loss


@pytest.fixture(scope="module")
def encoder() -> VGGEncoder:
    module = zoo.load("vgg19_half.tiny_imagenet").requires_grad_(False)
    assert isinstance(module, VGGEncoder)
    return module


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    """A content and a style picture, drawn by code."""
    content, style = (to_picture(paint(name, 48, 64)).tensor for name in ("tesserae", "dusk"))
    return content, style


def test_the_loss_falls_far(encoder: VGGEncoder, pair: tuple[Tensor, Tensor]) -> None:
    content, style = pair
    grams = style_targets(encoder, style)
    steps = list(gatys_steps(encoder, content, grams, iterations=25))
    losses = [float(step.terms.total) for step in steps]
    assert losses == sorted(losses, reverse=True), "the best so far"
    assert losses[-1] < 0.25 * losses[0]
    assert [step.iteration for step in steps] == list(range(26)) and [step.done for step in steps].index(True) == 25
    assert steps[-1].evaluations < 2 * 26
    image = steps[-1].image
    assert image.shape == content.shape and image.min() >= 0 and image.max() <= 1
    with torch.no_grad():
        found = total_loss(encoder, image, grams, content_target(encoder, content))
    assert float(found) == pytest.approx(losses[-1], rel=1e-5)
    assert torch.equal(steps[0].image, content)
    # the palette comes with it
    before, after = ((one.mean((2, 3)) - style.mean((2, 3))).abs().sum() for one in (content, image))
    assert after < 0.75 * before
    again = list(gatys_steps(encoder, content, grams, iterations=25))
    assert torch.equal(again[-1].image, image)


def test_the_minimum_is_a_minimum(encoder: VGGEncoder, pair: tuple[Tensor, Tensor]) -> None:
    # with the content as style too and without TV, the content picture is the solution
    content, _ = pair
    start = (content + 0.02 * torch.randn(content.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    steps = list(
        gatys_steps(encoder, content, style_targets(encoder, content), iterations=15, tv_weight=0.0, start=start)
    )
    assert float(steps[-1].terms.total) < 0.15 * float(steps[0].terms.total)


def test_a_stuck_line_search_is_started_afresh(
    encoder: VGGEncoder, pair: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[torch.optim.Optimizer] = []

    class Stubborn(torch.optim.LBFGS):
        """Does nothing from its third step on."""

        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)  # type: ignore[arg-type]
            made.append(self)
            self.count = 0

        def step(self, closure):  # type: ignore[no-untyped-def, override]
            self.count += 1
            return super().step(closure) if self.count < 3 else closure()

    monkeypatch.setattr(gatys.torch.optim, "LBFGS", Stubborn)
    content, style = pair
    steps = list(gatys_steps(encoder, content, style_targets(encoder, style), iterations=9))
    assert len(steps) == 10 and len(made) == 3
    assert float(steps[-1].terms.total) < float(steps[2].terms.total)


def test_it_ends_where_nothing_helps(encoder: VGGEncoder, pair: tuple[Tensor, Tensor]) -> None:
    content, _ = pair
    steps = list(gatys_steps(encoder, content, style_targets(encoder, content), iterations=50, tv_weight=0.0))
    assert steps[-1].done and len(steps) < 10
    torch.testing.assert_close(steps[-1].image, content, rtol=0, atol=1e-3)
    [only] = gatys_steps(encoder, content, style_targets(encoder, content), iterations=0)
    assert only.done and torch.equal(only.image, content)


def test_refusals(encoder: VGGEncoder, pair: tuple[Tensor, Tensor]) -> None:
    content, style = pair
    grams = style_targets(encoder, style)
    with pytest.raises(ValueError, match="content: one picture"):
        gatys_steps(encoder, content.expand(2, -1, -1, -1), grams)
    with pytest.raises(ValueError, match="start: must have the shape"):
        gatys_steps(encoder, content, grams, start=style[..., :20])
    with pytest.raises(ValueError, match="iterations"):
        gatys_steps(encoder, content, grams, iterations=-1)


def test_bfloat16_falls_as_far(
    encoder: VGGEncoder, pair: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    content, style = pair
    grams = style_targets(encoder, style)
    target = content_target(encoder, content)
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    reached = []
    for half in (False, True):
        *_, last = gatys_steps(encoder, content, grams, iterations=15, half=half)
        reached.append(float(total_loss(encoder, last.image, grams, target)))
        assert float(last.terms.total) == pytest.approx(reached[-1], rel=0.02)
        assert last.image.dtype == torch.float32
    assert reached[1] < 1.2 * reached[0]
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)
    *_, plain = gatys_steps(encoder, content, grams, iterations=5)
    *_, asked = gatys_steps(encoder, content, grams, iterations=5, half=True)
    assert torch.equal(plain.image, asked.image), "where there is none, nothing changes"
