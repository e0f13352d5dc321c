"""`zoo.tasks.stylize`: one function for every engine, and what all of them have to keep to."""

from __future__ import annotations

import copy
import functools
import importlib
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

import zoo
from zoo.models.flexible_solver import FlexibleSolver, Style
from zoo.style.gatys import gatys_steps
from zoo.style.loss import content_target, loss_terms, style_targets
from zoo.stylize import engines, grams, ranking
from zoo.tasks.stylize import GramCache, StylizeSettings

# the functions of zoo.tasks hide the modules of the same name
task = importlib.import_module("zoo.tasks.stylize")

ENCODER = "vgg19_half.tiny_imagenet"
DUSK, SKY = "gallery:dusk", "gallery:night_sky"
# small paintings are painted quickly
stylize = functools.partial(task.stylize, style_size=48)
stylize_steps = functools.partial(task.stylize_steps, style_size=48)


@pytest.fixture(scope="module")
def solver() -> FlexibleSolver:
    """A small solver of two iterations, with parameters that make every part of it show."""
    generator = torch.Generator().manual_seed(0)
    made = FlexibleSolver(2, 4).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return made


class Blend(nn.Module):
    """A network of one pass that is easy to foresee: the mean colour of each style, mixed."""

    encoder: str | None = None

    def stylise(self, content: Tensor, styles, weights, intensity: float) -> Tensor:
        colour = sum(w * style.mean((2, 3), keepdim=True) for w, style in zip(weights, styles, strict=True))
        return torch.lerp(content, colour.expand_as(content), min(intensity, 1.0))


def picture(height: int = 40, width: int = 48, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def flat(*colour: float) -> Tensor:
    return torch.tensor(colour)[:, None, None].expand(3, 20, 20)


def test_result_is_the_solvers(solver):
    content, style = picture(), picture(32, 32, 1)
    result, info = stylize(content, style, style_size=None, model=solver, return_info=True)
    encoder = zoo.load(ENCODER)
    with torch.no_grad():
        targets = style_targets(encoder, style[None])
        expected = solver(content[None], [Style(tuple(targets.values()))])[0]
        target = content_target(encoder, content[None])
        terms = loss_terms(encoder, expected[None], targets, target)
        before = loss_terms(encoder, content[None], targets, target)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
    assert (result - content).abs().max() > 0.01
    assert info.loss.total == pytest.approx(float(terms.total), rel=1e-3)
    assert info.loss.style == pytest.approx(terms.style[0].tolist(), rel=1e-3)
    assert info.loss.total == pytest.approx(sum(info.loss.style) + info.loss.content + info.loss.tv)
    assert info.loss_before.total == pytest.approx(float(before.total), rel=1e-3) and info.loss_before.content == 0
    assert (info.encoder, info.iterations, info.height, info.width) == (ENCODER, 2, 40, 48)
    assert json.loads(json.dumps(info.to_dict()))["engine"] == "FlexibleSolver"


def test_steps_begin_with_the_content(solver):
    content = picture()
    states = list(stylize_steps(content, DUSK, model=solver))
    assert [state.iteration for state in states] == [0, 1, 2, 2]
    assert [state.done for state in states] == [False, False, False, True] and states[-1].progress == 1
    assert torch.equal(states[0].image, content)
    assert torch.equal(states[1].image, stylize(content, DUSK, model=solver, steps=1))
    # the result is there before its loss is
    assert [state.measuring for state in states] == [False, False, True, False]
    assert torch.equal(states[2].image, states[3].image) and states[2].progress < 1
    assert states[2].info.loss is None and states[3].info.loss is not None
    assert len(list(stylize_steps(content, DUSK, model=solver, measure=False))) == 3


def test_gatys_streams(solver):
    content, style = picture(24, 24), picture(24, 24, 1)
    states = list(
        stylize_steps(
            content, style, style_size=None, model="gatys", steps=3, intensity=2, scale_weights=[1, 1, 0, 0, 2]
        )
    )
    encoder = zoo.load(ENCODER).requires_grad_(False).to(memory_format=torch.channels_last)
    targets = style_targets(encoder, style[None])
    *_, last = gatys_steps(encoder, content[None], targets, iterations=3, betas=[2, 2, 0, 0, 4], half=True)
    torch.testing.assert_close(states[-1].image, last.image[0])
    info = states[-1].info
    assert info.engine == "gatys.vgg19_half" and info.loss.total < info.loss_before.total
    assert states[1].info.loss.style[4] < info.loss_before.style[4]
    assert [state.iteration for state in states][-1] == info.iterations == 3


def test_mixing(solver):
    content, a, b = picture(), picture(32, 32, 1), picture(32, 30, 2)
    both = stylize(content, [a, b], [1, 0], model=solver)
    assert torch.equal(both, stylize(content, a, model=solver))
    mixed = stylize(content, [a, b], [1, 3], model=solver)
    torch.testing.assert_close(mixed, stylize(content, [b, a], [0.75, 0.25], model=solver), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(mixed, both, atol=1e-3)


def test_scales_and_intensity(solver):
    content = picture()
    assert torch.equal(stylize(content, DUSK, intensity=0, model=solver), content)
    assert torch.equal(stylize(content, DUSK, scale_weights=[0] * 5, model=solver), content)
    twice = stylize(content, DUSK, scale_weights=[2] * 5, model=solver)
    torch.testing.assert_close(stylize(content, DUSK, intensity=2, model=solver), twice)
    one = stylize(content, DUSK, scale_weights=[1, 0, 0, 0, 0], model=solver)
    assert not torch.allclose(one, content, atol=1e-4)


def test_scales_are_relative_to_what_is_usual_for_a_solver(solver):
    content, quiet = picture(), copy.deepcopy(solver)
    quiet.usual_betas = (1.0, 1.0, 1.0, 0.5, 0.25)
    plain = stylize(content, DUSK, scale_weights=[1, 1, 1, 0.5, 0.25], model=solver)
    torch.testing.assert_close(stylize(content, DUSK, model=quiet), plain)
    torch.testing.assert_close(
        stylize(content, DUSK, scale_weights=[1, 1, 1, 2, 4], model=quiet), stylize(content, DUSK, model=solver)
    )


@pytest.mark.parametrize("kind", ["solver", "gatys", "one pass"])
def test_masks(solver, kind):
    model = {"solver": solver, "gatys": "gatys", "one pass": Blend()}[kind]
    options = {"model": model, "steps": 2 if kind == "gatys" else None}
    content, a, b = picture(), flat(0.9, 0.1, 0.1), flat(0.1, 0.2, 0.9)
    whole, left = np.full((7, 9), 255, np.uint8), np.zeros((40, 48), bool)
    left[:, :16] = True
    alone = stylize(content, a, **options)
    assert torch.equal(stylize(content, a, masks=[whole], **options), alone), "a mask of ones is no mask"
    both = stylize(content, [a, b], [1, 2], **options)
    assert torch.equal(stylize(content, [a, b], [1, 2], masks=[whole, whole], **options), both)
    only, info = stylize(content, a, masks=[left], return_info=True, **options)
    assert info.loss is None, "the loss of several regions is not defined"
    assert not torch.allclose(only[..., :8], content[..., :8], atol=1e-3)
    if kind != "solver":  # a solver's updates reach a little over the edge
        assert torch.equal(only[..., 16:], content[..., 16:])
    parts = stylize(content, [a, b], masks=[left, None], **options)
    opposite = stylize(content, [b, a], masks=[~left, Image.fromarray(left)], **options)
    torch.testing.assert_close(parts, opposite, rtol=1e-4, atol=1e-5)
    if kind != "solver":
        assert torch.equal(parts[..., :16], only[..., :16])
        assert torch.equal(parts[..., 16:], stylize(content, b, **options)[..., 16:])


def test_masks_that_are_refused(solver):
    for masks, message in (
        ([np.zeros((8, 8))], "empty"),
        ([None, None], "one for each of the 1"),
        ([np.full((8, 8), np.nan)], "NaN"),
        (["left"], "a PIL image"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            stylize(picture(), DUSK, masks=masks, model=solver)


def test_colours_of_the_content(solver):
    content = picture()
    yiq = torch.tensor([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
    for model in (solver, Blend()):
        result, info = stylize(content, SKY, color="content", model=model, return_info=True)
        before, after = (torch.einsum("dc,chw->dhw", yiq, image) for image in (content, result))
        torch.testing.assert_close(after[1:], before[1:], atol=2e-6, rtol=0)
        assert (after[0] - before[0]).abs().max() > 0.003
        assert result.min() >= 0 and result.max() <= 1
        assert info.settings.color == "content"


def test_grey_pictures(solver):
    grey = Image.fromarray((255 * picture()[0]).byte().numpy())
    assert stylize(grey, SKY, model=solver).mode == "RGB"
    assert stylize(grey, SKY, color="content", model=solver).mode == "L"
    assert stylize(np.asarray(grey), SKY, model=solver).shape == (40, 48, 3)
    assert stylize(np.asarray(grey), SKY, color="content", model=solver).shape == (40, 48)
    assert stylize(picture()[:1], SKY, model=solver).shape == (3, 40, 48)
    deep = Image.fromarray((65535 * picture()[0]).numpy().astype(np.uint16))
    assert stylize(deep, SKY, model=solver).mode == "RGB"
    assert stylize(deep, SKY, color="content", size=24, model=solver).mode.startswith("I")


def test_alpha_and_size(solver):
    pixels = (255 * picture(40, 60)).byte().permute(1, 2, 0).numpy()
    alpha = np.linspace(0, 255, 40 * 60).reshape(40, 60).astype(np.uint8)
    clear = Image.fromarray(np.dstack([pixels, alpha]))
    result = stylize(clear, SKY, model=solver)
    assert result.mode == "RGBA" and np.array_equal(np.asarray(result)[..., 3], alpha)
    small = stylize(clear, SKY, size=30, model=solver)
    assert small.mode == "RGBA" and small.size == (30, 20)
    assert np.abs(np.asarray(small)[5:15, 5:25, 3].astype(int) - alpha[10:30:2, 10:50:2]).max() < 8
    assert stylize(np.asarray(clear), SKY, size=30, model=solver).shape == (20, 30, 4)
    large = stylize(picture(), SKY, size=96, model=solver)
    assert large.shape == (3, 80, 96)


@settings(max_examples=8)
@given(height=st.integers(16, 45), width=st.integers(16, 45))
def test_any_size(height, width):
    generator = torch.Generator().manual_seed(1)
    net = FlexibleSolver(1, 2).eval().requires_grad_(False)
    content = torch.rand(3, height, width, generator=generator)
    result, info = stylize(content, picture(16, 37, 3), model=net, return_info=True)
    assert result.shape == content.shape and result.isfinite().all() and info.loss is not None


def test_kinds_of_tensors(solver):
    content, style = picture(), picture(32, 32, 1)
    expected = stylize(content, style, model=solver)
    turned = content.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert not turned.is_contiguous()
    torch.testing.assert_close(stylize(turned, style.flip(2).flip(2), model=solver), expected, rtol=1e-4, atol=1e-5)
    half = stylize(content.half(), style.half(), model=solver)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), expected, atol=0.02, rtol=0)
    assert stylize(content.double(), style, model=solver).dtype == torch.float64
    assert stylize((255 * content).byte(), style, model=solver).dtype == torch.uint8


def test_batch_mates_do_not_meet(solver):
    contents = torch.stack([picture(seed=i) for i in range(3)])
    together, infos = stylize(contents, SKY, model=solver, return_info=True)
    assert len(infos) == 3 and infos[0].loss != infos[1].loss
    for one, alone in zip(together, contents, strict=True):
        assert torch.equal(one, stylize(alone, SKY, model=solver))


def test_same_settings_same_result(solver):
    content = picture()
    options = {"style_weights": (1.0, 2.0), "intensity": 0.7, "size": 33, "seed": 5, "color": "content"}
    result, info = stylize(content, [SKY, DUSK], **options, model=solver, return_info=True)
    known = StylizeSettings.from_json(info.settings.to_json())
    assert known == info.settings
    again = stylize(content, known.styles, **known.arguments() | {"model": solver})
    assert torch.equal(result, again)
    other = stylize(content, known.styles, **known.arguments() | {"model": solver, "seed": 6})
    assert not torch.equal(result, other), "another seed is another painting"


def test_another_encoder_is_refused(solver):
    stylize(picture(), SKY, model=solver, encoder=ENCODER)
    with pytest.raises(ValueError, match=f"encoder: .*trained with {ENCODER}"):
        stylize(picture(), SKY, model=solver, encoder="vgg19.imagenet")
    with pytest.raises(ValueError, match="trained with none"):
        stylize(picture(), SKY, model=Blend(), encoder=ENCODER)
    with pytest.raises(ValueError, match="no perceptual encoder"):
        stylize(picture(), SKY, model="gatys", encoder="tv2d.isotropic")


def test_one_pass(solver):
    content = picture()
    result, info = stylize(
        content, [flat(1.0, 0, 0), flat(0, 0, 1.0)], [3, 1], model=Blend(), intensity=0.5, return_info=True
    )
    expected = 0.5 * content + 0.5 * torch.tensor([0.75, 0, 0.25])[:, None, None]
    torch.testing.assert_close(result, expected)
    assert info.iterations == 1 and info.loss is None, "without an encoder there is no loss"
    dark = stylize(content, flat(1.0, 0, 0), model=Blend(), prox=lambda x: x * 0.5)
    torch.testing.assert_close(dark, torch.tensor([0.5, 0, 0])[:, None, None].expand_as(dark))


def test_network_of_one_style():
    class Fixed(Blend):
        style = "dusk"

    content = picture()
    result, info = stylize(content, model=Fixed(), return_info=True)
    assert torch.equal(result, stylize(content, DUSK, model=Blend()))
    assert info.settings.styles == (DUSK,)
    assert torch.equal(result, stylize(content, [SKY, SKY], [1, 2], model=Fixed())), "whatever is given"


def test_prox_comes_after_each_update(solver):
    seen = []

    def box(x: Tensor) -> Tensor:
        seen.append(x.shape)
        return x.clamp(0.3, 0.6)

    result = stylize(picture(), SKY, model=solver, prox=box)
    assert seen == [(1, 3, 40, 48)] * 2 and result.min() >= 0.3 and result.max() <= 0.6
    halved = stylize(picture(), SKY, model=solver, prox=[box, lambda x: x / 2])
    assert halved.min() >= 0.15 and halved.max() <= 0.3
    with pytest.raises(ValueError, match="prox"):
        stylize(picture(), SKY, model="gatys", prox=box)


def test_gram_matrices_are_kept(solver, monkeypatch):
    counted = []
    shared = GramCache(2)
    monkeypatch.setattr(task, "OF_PAINTINGS", shared)
    compute = grams.grams_of

    def count(encoder, picture):
        counted.append(picture)
        return compute(encoder, picture)

    monkeypatch.setattr(grams, "grams_of", count)
    monkeypatch.setattr(task, "grams_of", count)
    mine = GramCache(1)
    style = picture(32, 32, 1)
    first = stylize(picture(), [SKY, style], model=solver, cache=mine)
    assert len(counted) == 2 and len(mine) == 1
    assert torch.equal(stylize(picture(), [SKY, style.clone()], model=solver, cache=mine), first)
    assert len(counted) == 2, "the same picture is known, whichever object it is"
    stylize(picture(), style + 0.01, model=solver, cache=mine)
    assert len(counted) == 3 and len(mine) == 1, "no more than the limit"
    stylize(picture(), style, model=solver)
    stylize(picture(), [SKY], color="content", model=solver)
    assert len(shared) == 1, "what a caller gives does not stay in the process"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"styles": []}, "styles: at least one"),
        ({"styles": [SKY] * 5}, "at most 4"),
        ({"styles": "gallery:nothing"}, "gallery:dusk"),
        ({"styles": "night_sky"}, "gallery:dusk"),
        ({"styles": 3}, "styles: a picture"),
        ({"styles": torch.rand(2, 3, 20, 20)}, r"styles\[0\]: one picture"),
        ({"styles": torch.rand(3, 8, 20)}, r"styles\[0\]: at least 16"),
        ({"style_weights": [1, 2]}, "style_weights: 1 numbers"),
        ({"style_weights": [-1]}, "style_weights: finite"),
        ({"style_weights": [0]}, "above 0"),
        ({"scale_weights": [1, 2]}, "scale_weights: 5"),
        ({"intensity": float("nan")}, "intensity: finite"),
        ({"intensity": "much"}, "intensity: numbers"),
        ({"intensity": 1e38, "scale_weights": [1e38] * 5}, "not finite"),
        ({"color": "blue"}, "color"),
        ({"size": 8}, "size: .*from 16"),
        ({"size": 1e300}, "size: .*to 4096"),
        ({"size": 20.5}, "size: a whole number"),
        ({"steps": 3}, "steps: this solver has 2"),
        ({"steps": 0}, "steps"),
        ({"seed": -1}, "seed"),
        ({"content": torch.rand(3, 15, 40)}, "content: at least 16"),
        ({"content": torch.rand(4, 20, 20)}, "content: one channel or three"),
        ({"content": torch.full((3, 20, 20), torch.nan)}, "content: has NaN"),
        ({"content": torch.rand(1, 2100, 2100)}, "content: .*give a size"),
        ({"content": "a.png"}, "content: a PIL image"),
        ({"model": "tv2d.isotropic"}, "model: tv2d.isotropic is for denoise"),
        ({"model": "gatys.vgg19_hal"}, "did you mean"),
        ({"model": Blend(), "steps": 2}, "one pass"),
        ({"model": Blend(), "scale_weights": [1, 1, 1, 1, 0]}, "scale_weights: Blend has none"),
        ({"model": "gatys", "content": torch.rand(1, 1200, 1200)}, "too many to optimise"),
        ({"model": nn.Identity()}, "no method stylise"),
    ],
)
def test_what_is_refused(solver, options, message):
    arguments = {"content": picture(), "styles": DUSK, "model": solver} | options
    with pytest.raises((ValueError, TypeError), match=message):
        stylize(**arguments)


def test_arguments_are_checked_at_once(solver):
    with pytest.raises(ValueError, match="steps"):
        stylize_steps(picture(), DUSK, model=solver, steps=3)


def test_every_installed_engine_fits():
    """Whatever is in the registry for this task can be run by it."""
    content = picture(32, 32)
    for entry in ranking.installed():
        one = 1 if entry.arch == "gatys" else None
        result, info = stylize(content, SKY, model=entry.name, steps=one, return_info=True)
        assert result.shape == content.shape and result.min() >= 0 and result.max() <= 1
        assert info.engine == entry.name and engines.kind(zoo.load(entry.name))
