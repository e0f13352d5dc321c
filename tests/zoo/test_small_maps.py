"""Convolutions of small maps by products of matrices, against PyTorch's general ones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zoo.models import small_maps
from zoo.models.small_maps import Double, Grouped, Halve

sizes = st.integers(1, 4)


@pytest.fixture
def always(monkeypatch):
    """Products in float64 too, where they can be compared to the last digits."""
    monkeypatch.setattr(small_maps, "_as_product", lambda x, pixels: True)
    monkeypatch.setattr(small_maps, "MANY", 1)


def same_as_general(layer: nn.Module, general: nn.Module, x: torch.Tensor) -> None:
    """Values, gradients, and gradients of a gradient's norm."""
    layer, general = layer.double(), general.double()
    general.load_state_dict(layer.state_dict())
    found = []
    for module in (layer, general):
        at = x.clone().requires_grad_()
        y = module(at)
        direction = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).reshape(y.shape)
        slopes = torch.autograd.grad((y.square() * direction).sum(), (at, module.weight), create_graph=True)
        second = torch.autograd.grad(slopes[0].square().sum(), (at, module.weight))
        found.append((y, *slopes, *second))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("always")
@given(batch=sizes, inside=sizes, outside=sizes, h=sizes, w=sizes, last=st.booleans())
@settings(max_examples=30, deadline=None)
def test_halving_and_doubling_equal_the_general_convolutions(batch, inside, outside, h, w, last):
    order = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(batch, inside, 2 * h, 2 * w, dtype=torch.float64).contiguous(memory_format=order)
    same_as_general(Halve(inside, outside), nn.Conv2d(inside, outside, 4, 2, 1, bias=False), x)
    small = torch.randn(batch, inside, h, w, dtype=torch.float64).contiguous(memory_format=order)
    same_as_general(Double(inside, outside), nn.ConvTranspose2d(inside, outside, 4, 2, 1, bias=False), small)


@pytest.mark.usefixtures("always")
@given(batch=sizes, groups=sizes, each=st.integers(1, 3), h=sizes, w=sizes)
@settings(max_examples=20, deadline=None)
def test_groups_equal_the_general_convolution(batch, groups, each, h, w):
    channels = groups * each
    x = torch.randn(batch, channels, h, w, dtype=torch.float64)
    general = nn.Conv2d(channels, channels, 3, padding=2, dilation=2, groups=groups, bias=False)
    same_as_general(Grouped(channels, groups), general, x)


@pytest.mark.parametrize(
    "layer, shape", [(Halve(6, 5), (8, 6, 8, 8)), (Double(6, 5), (8, 6, 4, 4)), (Grouped(6, 3), (8, 6, 4, 4))]
)
def test_products_in_half_precision_are_as_near_as_it_has_digits(layer, shape):
    x = torch.randn(shape)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x)
    assert half.dtype == torch.bfloat16
    assert half.stride() == torch.empty_like(half, memory_format=torch.channels_last).stride()
    torch.testing.assert_close(half.float(), exact, rtol=0, atol=0.03 * float(exact.detach().abs().max()))
    # none but for what rounding makes of a sum in another order
    with torch.autocast("cpu", torch.bfloat16):
        alone = layer(x[:1])
    torch.testing.assert_close(alone.float(), half[:1].float(), rtol=0, atol=0.03 * float(exact.detach().abs().max()))


def test_large_and_odd_maps_and_single_precision_take_the_general_way(monkeypatch):
    def never(*arguments):
        raise AssertionError("a product")

    monkeypatch.setattr(small_maps, "patches", never)
    monkeypatch.setattr(small_maps, "overlap", never)
    half = torch.bfloat16
    assert Halve(3, 4)(torch.randn(1, 3, 8, 8)).shape == (1, 4, 4, 4)
    assert Double(3, 4)(torch.randn(1, 3, 4, 4)).shape == (1, 4, 8, 8)
    assert Halve(3, 4).to(half)(torch.randn(1, 3, 7, 5).to(half)).shape == (1, 4, 3, 2)
    assert Halve(3, 4).to(half)(torch.randn(1, 3, 32, 32).to(half)).shape == (1, 4, 16, 16)
    assert Double(3, 4).to(half)(torch.randn(1, 3, 32, 32).to(half)).shape == (1, 4, 64, 64)


def test_no_pictures():
    half = torch.bfloat16
    assert Halve(3, 4).to(half)(torch.zeros(0, 3, 8, 8, dtype=half)).shape == (0, 4, 4, 4)
    assert Double(3, 4).to(half)(torch.zeros(0, 3, 4, 4, dtype=half)).shape == (0, 4, 8, 8)
