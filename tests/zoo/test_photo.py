"""`zoo.tasks.photo_stylize`: lines stay, regions take after regions, for every kind of engine."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

import zoo
from zoo.metrics import edge_ssim, edges
from zoo.models.flexible_solver import FlexibleSolver, Style
from zoo.photo.labels import cut_out, matched
from zoo.prox import Photorealism
from zoo.style.loss import style_targets
from zoo.tasks import photo_stylize, photo_stylize_steps

ENCODER = "vgg19_half.tiny_imagenet"
RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)


@pytest.fixture(scope="module")
def solver() -> FlexibleSolver:
    generator = torch.Generator().manual_seed(0)
    made = FlexibleSolver(2, 4).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return made


class Noise(nn.Module):
    """A network of one pass that makes a mess of the picture: the style's mean colour and noise."""

    encoder: str | None = None

    def stylise(self, content: Tensor, styles, weights, intensity: float) -> Tensor:
        colour = styles[0].mean((2, 3), keepdim=True)
        noise = torch.randn(content.shape, generator=torch.Generator().manual_seed(3))
        return 0.5 * content + 0.5 * colour + 0.1 * noise


def picture(height: int = 40, width: int = 48, seed: int = 0) -> Tensor:
    small = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(small, size=(height, width), mode="bicubic")[0].clamp(0, 1)


def map_of(*columns: tuple[int, int, int]) -> Image.Image:
    """Vertical stripes of equal width, 30 × 40."""
    return Image.fromarray(np.array([columns], np.uint8)).resize((40, 30), Image.Resampling.NEAREST)


def test_a_solver_applies_the_operator_after_each_update(solver: FlexibleSolver) -> None:
    content, style = picture(), picture(32, 32, 1)
    result, info = photo_stylize(content, style, model=solver, lam=5.0, return_info=True)
    targets = style_targets(zoo.load(ENCODER), style[None])
    with torch.no_grad():
        expected = solver(content[None], [Style(tuple(targets.values()))], prox=Photorealism(content[None], 5.0))[0]
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
    assert (info.method, info.iterations, info.lam) == ("prox", 2, 5.0)
    assert info.edge_ssim == pytest.approx(float(edge_ssim(result[None], content[None])), abs=1e-6)
    assert info.loss.total > 0 and info.loss_before.content == 0
    assert json.loads(json.dumps(info.to_dict()))["engine"] == "FlexibleSolver"
    free = photo_stylize(content, style, model=solver, lam=0)
    with torch.no_grad():
        torch.testing.assert_close(
            free, solver(content[None], [Style(tuple(targets.values()))])[0], rtol=1e-4, atol=1e-5
        )


def test_one_pass_and_smoothing_are_the_filter_afterwards() -> None:
    content, style = picture(), picture(seed=1)
    plain = photo_stylize(content, style, model=Noise(), lam=0)
    for method, solver in (("prox", "chebyshev"), ("smooth", "cg")):
        found, info = photo_stylize(content, style, model=Noise(), lam=20.0, method=method, return_info=True)
        expected = Photorealism(content[None], 20.0, solver, tol=1e-5 if method == "smooth" else None)(plain[None])[0]
        torch.testing.assert_close(found, expected.clamp(0, 1), rtol=1e-4, atol=1e-5)
        assert info.loss is None, "without an encoder there is no loss"
    assert edge_ssim(found[None], content[None]) > edge_ssim(plain[None], content[None]) + 0.1


def test_luan_keeps_lines_that_the_optimisation_alone_does_not() -> None:
    content, style = picture(48, 48), picture(48, 48, 1).flip(0)
    options = {"model": "gatys", "steps": 12, "return_info": True}
    plain, free = photo_stylize(content, style, lam=0, **options)
    bound, info = photo_stylize(content, style, lam=200.0, **options)
    assert free.method == info.method == "luan" and info.iterations == 12
    term = Photorealism(content[None], 1.0).penalty
    assert term(bound[None]) < 0.3 * term(plain[None])
    assert info.loss.total < info.loss_before.total, "it still takes after the style"
    states = list(photo_stylize_steps(content, style, lam=200.0, model="gatys", steps=3))
    assert [step.iteration for step in states] == [0, 1, 2, 3] and torch.equal(states[0].image, content)
    assert [step.done for step in states] == [False] * 3 + [True] and states[-1].progress == 1
    smooth, after = photo_stylize(content, style, lam=50.0, method="smooth", **options)
    expected = Photorealism(content[None], 50.0, "cg", tol=1e-5)(plain[None]).clamp(0, 1)[0]
    torch.testing.assert_close(smooth, expected, rtol=1e-3, atol=1e-4)
    assert after.method == "smooth"


@pytest.mark.parametrize("kind", ["solver", "gatys", "one pass"])
def test_regions_take_after_regions_of_their_colour(solver: FlexibleSolver, kind: str) -> None:
    model = {"solver": solver, "gatys": "gatys", "one pass": Noise()}[kind]
    options = {"model": model, "lam": 0.1, "steps": 8 if kind == "gatys" else None}
    content = torch.full((3, 32, 48), 0.5) + 0.05 * picture(32, 48)
    style = torch.zeros(3, 32, 48)
    style[0, :, :24], style[2, :, 24:] = 0.9, 0.9
    found, info = photo_stylize(content, style, map_of(RED, BLUE), map_of(RED, BLUE), return_info=True, **options)
    swapped = photo_stylize(content, style, map_of(BLUE, RED), map_of(RED, BLUE), **options)
    assert sorted(info.labels) == sorted([RED, BLUE])
    left, right = slice(0, 16), slice(32, 48)
    if kind != "solver":  # random weights show no colours, only that the regions matter
        assert found[0, :, left].mean() > found[2, :, left].mean() + 0.1
        assert found[2, :, right].mean() > found[0, :, right].mean() + 0.1
        assert swapped[2, :, left].mean() > swapped[0, :, left].mean() + 0.1
    assert not torch.allclose(found, swapped, atol=1e-4)
    if kind != "one pass":
        assert info.loss is not None and info.loss_before is not None


def test_what_the_style_has_not_takes_after_all_of_it() -> None:
    content, style = picture(32, 48), torch.zeros(3, 32, 48)
    style[0, :, :24], style[2, :, 24:] = 1.0, 1.0
    result, info = photo_stylize(
        content, style, map_of(RED, GREEN), map_of(RED, BLUE), model=Noise(), lam=0, return_info=True
    )
    assert info.labels == (RED,)
    whole = photo_stylize(content, style, model=Noise(), lam=0)
    torch.testing.assert_close(result[..., 30:], whole[..., 30:])
    assert not torch.allclose(result[..., :18], whole[..., :18])


def test_labels_survive_blended_borders() -> None:
    sharp = map_of(RED, BLUE, GREEN)
    blended = sharp.resize((160, 120), Image.Resampling.BICUBIC)
    labels = matched(blended, sharp, (30, 40), (60, 80), None)
    assert sorted(label.colour for label in labels) == sorted([RED, BLUE, GREEN])
    total = sum(label.content for label in labels)
    torch.testing.assert_close(total, torch.ones(1, 1, 30, 40))
    red = next(label for label in labels if label.colour == RED)
    truth = torch.from_numpy((np.asarray(sharp) == RED).all(-1)).float()
    assert (red.content[0, 0] - truth).abs().mean() < 0.02 and red.style.shape == (1, 1, 60, 80)


@settings(max_examples=20)
@given(seed=st.integers(0, 99), height=st.integers(1, 20), width=st.integers(1, 20))
def test_cut_out_shows_the_region_only(seed: int, height: int, width: int) -> None:
    draw = np.random.default_rng(seed)
    mask = torch.from_numpy(draw.random((1, 1, height, width)) > 0.6).float()
    mask[0, 0, draw.integers(height), draw.integers(width)] = 1
    values = torch.arange(1, height * width + 1).float().view(1, 1, height, width).expand(1, 3, -1, -1)
    found = cut_out(values, mask)
    assert set(found.unique().tolist()) == set((values * mask)[0, 0].unique().tolist()) - {0.0}
    assert found.shape[-1] == width and found.shape[-2] >= min(16, int(mask.amax(3).sum()))


def test_edges_are_where_steps_are() -> None:
    step = torch.zeros(1, 3, 16, 20)
    step[..., 10:] = 1
    found = edges(step)[0, 0]
    assert torch.allclose(found[:, 9:11], torch.ones(16, 2)) and found[:, :9].max() == found[:, 11:].max() == 0
    assert torch.allclose(edges(step.transpose(2, 3))[0, 0], found.T)
    assert float(edge_ssim(1 - step, step)) == pytest.approx(1, abs=1e-6), "the colours do not matter"
    assert float(edge_ssim(step.roll(5, 3), step)) < 0.9
    with pytest.raises(ValueError, match="image"):
        edge_ssim(step, step[..., :8])


def test_kinds_of_pictures(solver: FlexibleSolver) -> None:
    image = Image.fromarray((255 * picture(40, 60)).byte().permute(1, 2, 0).numpy())
    result = photo_stylize(image, image.rotate(180), model=solver, size=30)
    assert isinstance(result, Image.Image) and result.size == (30, 20)
    assert photo_stylize(np.asarray(image.convert("L")), image, model=solver).shape == (40, 60, 3)
    assert photo_stylize(picture()[None], "gallery:dusk", style_size=32, model=solver).shape == (1, 3, 40, 48)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lam": -1}, "lam"),
        ({"lam": float("nan")}, "lam"),
        ({"method": "magic"}, "method: one of"),
        ({"method": "luan"}, "luan.*optimisation"),
        ({"method": "prox", "model": "gatys"}, "prox.*solvers"),
        ({"content_mask": map_of(RED)}, "both or none"),
        ({"content_mask": map_of(RED), "style_mask": map_of(BLUE)}, "no colour in common"),
        ({"content_mask": "map", "style_mask": map_of(BLUE)}, "content_mask: "),
        ({"style": None}, "style: a picture"),
        ({"style": "dusk"}, "gallery:"),
        ({"content": torch.rand(2, 3, 20, 20)}, "one picture"),
        ({"content": torch.rand(3, 8, 20)}, "at least 16"),
        ({"steps": 3}, "steps: this solver has 2"),
        ({"model": "tv2d.isotropic"}, "is for denoise"),
    ],
)
def test_what_is_refused(solver: FlexibleSolver, options: dict, message: str) -> None:
    arguments = {"content": picture(), "style": picture(seed=1), "model": solver} | options
    with pytest.raises((ValueError, TypeError), match=message):
        photo_stylize_steps(**arguments)
