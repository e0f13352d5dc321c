"""Settings, regions, colours and Gram matrices by themselves."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.models.flexible_solver import mix
from zoo.stylize.colour import luminance, matched, recoloured
from zoo.stylize.grams import mixed
from zoo.stylize.pictures import open_content, open_style, scaled
from zoo.stylize.regions import composed, regions
from zoo.stylize.settings import StylizeSettings

positive = st.floats(0, 4, allow_subnormal=False)


@given(
    weights=st.lists(st.floats(0.01, 4), min_size=1, max_size=4),
    scales=st.none() | st.lists(positive, min_size=5, max_size=5),
    intensity=positive,
    color=st.sampled_from(["style", "content"]),
    size=st.none() | st.integers(16, 4000),
    seed=st.integers(0, 2**32 - 1),
)
def test_settings_survive_json(weights, scales, intensity, color, size, seed):
    styles = ["gallery:dusk", None, "gallery:etching", None][: len(weights)]
    made = StylizeSettings("gatys", tuple(styles), weights, scales, intensity, color, size, seed=seed)
    again = StylizeSettings.from_json(made.to_json())
    assert again == made
    assert sum(made.weights) == pytest.approx(1)
    assert StylizeSettings(styles=made.styles, **made.arguments()) == made


def test_settings_leave_out_what_is_usual():
    assert StylizeSettings().to_json() == "{}"
    assert json.loads(StylizeSettings(intensity=0.5).to_json()) == {"intensity": 0.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "JSON object"),
        ('{"colour": "style"}', "unknown colour; known are model"),
        ('{"intensity": NaN}', "intensity"),
        ('{"intensity": true}', "intensity"),
        ('{"styles": ["../secret.png"]}', "gallery:dusk"),
        ('{"styles": "gallery:dusk"}', "styles: a list"),
        ('{"styles": [3]}', "styles"),
        ('{"model": 3}', "model: a name"),
        ('{"size": 1e300}', "size: a whole number"),
        ('{"seed": null}', "seed"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_settings_that_are_refused(text, message):
    with pytest.raises((ValueError, TypeError), match=message):
        StylizeSettings.from_json(text)


def test_regions_share_what_overlaps():
    size = (4, 6)
    left, middle = torch.zeros(1, *size), torch.zeros(1, *size)
    left[..., :4] = 1
    middle[..., 2:5] = 0.5
    areas = regions([0.25, 0.25, 0.25, 0.25], [left, None, middle, None], size, None)
    free, first, second = areas
    assert free.members == (1, 3) and free.weights == (0.5, 0.5)
    assert (first.members, second.members) == ((0,), (2,))
    row = [area.mask[0, 0, 0].tolist() for area in areas]
    assert row[1] == pytest.approx([1, 1, 2 / 3, 2 / 3, 0, 0])
    assert row[2] == pytest.approx([0, 0, 1 / 3, 1 / 3, 0.5, 0])
    assert row[0] == pytest.approx([0, 0, 0, 0, 0.5, 1])
    weighted = regions([0.8, 0.2], [left, left], size, None)
    assert [float(area.mask[0, 0, 0, 0]) for area in weighted] == pytest.approx([0.8, 0.2])
    assert [area.members for area in regions([1, 0], [None, left], size, None)] == [(0,)], "weight 0 takes no part"


@given(st.integers(0, 1000), st.integers(1, 4), st.booleans())
def test_shares_never_exceed_one(seed, count, free):
    generator = torch.Generator().manual_seed(seed)
    masks = [torch.rand(1, 5, 7, generator=generator) for _ in range(count)]
    listed = [*masks, *([None] if free else [])]
    areas = regions([1 / len(listed)] * len(listed), listed, (9, 8), None)
    total = torch.stack([area.mask for area in areas]).sum(0)
    assert total.max() <= 1 + 1e-5 and all(area.mask.min() >= 0 for area in areas)
    if free:
        torch.testing.assert_close(total, torch.ones_like(total))


def test_composed():
    content, a = torch.zeros(1, 3, 2, 2), torch.ones(1, 3, 2, 2)
    mask = torch.tensor([[[[1.0, 0.25], [0.0, 0.5]]]])
    torch.testing.assert_close(composed(content, [(mask, a), (1 - mask, 3 * a)])[:, :1], mask + 3 * (1 - mask))
    torch.testing.assert_close(composed(2 * a, [(mask, a)])[:, :1], mask + 2 * (1 - mask))
    assert composed(content, [(None, a)]) is a


def test_matched_luminance():
    generator = torch.Generator().manual_seed(0)
    style = luminance(torch.rand(1, 3, 50, 60, generator=generator))
    content = luminance(0.4 + 0.1 * torch.rand(1, 3, 30, 30, generator=generator))
    made = matched(style, content)
    assert float(made.mean()) == pytest.approx(float(content.mean()), abs=1e-5)
    assert float(made.std(correction=0)) == pytest.approx(float(content.std(correction=0)), rel=1e-4)
    assert matched(torch.full_like(style, 0.3), content).isfinite().all(), "a flat style has no deviation"


@given(st.integers(0, 100))
def test_recoloured_keeps_the_colour_of_any_picture(seed):
    generator = torch.Generator().manual_seed(seed)
    content = torch.rand(1, 3, 8, 8, generator=generator).round(decimals=seed % 2)  # also black, white and pure colours
    made = recoloured(torch.rand(1, 3, 8, 8, generator=generator), content)
    differences = made - content
    torch.testing.assert_close(differences, differences[:, :1].expand_as(differences), atol=1e-6, rtol=0)
    torch.testing.assert_close(recoloured(content, content), content, atol=1e-6, rtol=0)


def test_mixture_of_one_is_itself():
    generator = torch.Generator().manual_seed(0)
    layers = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    styles = []
    for scale in (1.0, 5.0):
        rows = {name: scale * torch.rand(1, 6, 30, generator=generator) for name in layers}
        styles.append({name: r @ r.mT for name, r in rows.items()})
    a, b = styles
    assert all(torch.equal(mixed([a], [1.0])[name], a[name]) for name in layers)
    same = mixed([a, a], [0.3, 0.7])
    assert all(torch.allclose(same[name], a[name], rtol=1e-4) for name in layers)
    both, shares = mixed([a, b], [0.3, 0.7]), mix([list(a.values()), list(b.values())], [0.3, 0.7])
    for name, share in zip(layers, shares, strict=True):
        ratio = both[name] / share
        assert torch.allclose(ratio, ratio.mean(), rtol=1e-4), "the same mixture, at the styles' own strength"
        assert a[name].norm() < both[name].norm() < b[name].norm()


def test_sizes():
    assert scaled(100, 50, None) == (100, 50) and scaled(100, 50, 60) == (60, 30) and scaled(30, 100, 50) == (15, 50)
    strip = torch.rand(3, 20, 400)
    assert open_style(strip, 0, 64, 512, 0, None).shape == (1, 3, 16, 320), "not below what the encoder sees"
    assert open_style(torch.rand(3, 300, 200), 0, None, 100, 0, None).shape == (1, 3, 256, 171)
    assert open_style("gallery:planes", 0, 96, 100, 0, None).shape == (1, 3, 96, 96)
    wide = open_content(torch.rand(3, 40, 64), 32, False, None)
    assert wide.tensor.shape == (1, 3, 20, 32) and wide.restore(wide.tensor).shape == (3, 20, 32)
