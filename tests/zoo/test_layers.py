"""The layers against formulas written out by hand, and as parts of a network."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import softplus

import cuda_src
from zoo.layers import TVLayer1d, TVLayer2d
from zoo.layers.tv import inverse_softplus


def features(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("axis", ["rows", "columns"])
@pytest.mark.parametrize("mode", ["smooth", "sharp"])
def test_1d_of_two_pixels_is_the_closed_form(mode, axis):
    # argmin ½(u−a)² + ½(v−b)² + λ|v−u|: each moves λ towards the other, at most half the way
    pair = features(4, 3, 5, 2, seed=1)
    lam = torch.tensor([0.1, 0.5, 2.0])
    layer = TVLayer1d(3, mode, axis=axis)
    layer.raw_lam.data = torch.tensor([inverse_softplus(float(value)) for value in lam])
    low, high = pair.unbind(-1)
    move = torch.minimum(lam[:, None], (high - low).abs() / 2) * (high - low).sign()
    smooth = torch.stack([low + move, high - move], -1)
    expected = smooth if mode == "smooth" else 2 * pair - smooth
    x = pair if axis == "rows" else pair.mT
    result = layer(x)
    torch.testing.assert_close(result if axis == "rows" else result.mT, expected, atol=1e-6, rtol=1e-5)


def test_2d_large_lam_gives_the_mean():
    x = features(2, 3, 6, 5)
    layer = TVLayer2d(3, lam=50.0, learn=False, tol=1e-7, max_iter=500)
    torch.testing.assert_close(layer(x), x.mean((-2, -1), keepdim=True).expand_as(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("tv", ["anisotropic", "isotropic"])
@pytest.mark.parametrize("mode", ["smooth", "sharp"])
def test_2d_is_the_prox_channel_by_channel(mode, tv):
    x = features(2, 3, 9, 8)
    layer = TVLayer2d(3, mode, tv=tv, tol=1e-6, max_iter=2000)
    layer.raw_lam.data = torch.tensor([-3.0, -1.0, 1.0])
    result = layer(x)
    for c in range(3):
        lam = math.log1p(math.exp(layer.raw_lam[c].item()))
        smooth = torch.stack(
            [cuda_src.prox_tv2d(x[b, c].double(), lam, mode=tv, tol=1e-9, max_iter=20000) for b in range(2)]
        )
        expected = smooth if mode == "smooth" else 2 * x[:, c].double() - smooth
        torch.testing.assert_close(result[:, c].double(), expected, atol=5e-3, rtol=0)


def test_shared_lam_is_one_number_for_all_channels():
    x = features(1, 4, 7, 7)
    for kind in (TVLayer1d, TVLayer2d):
        shared = kind(4, lam=0.3, share_channels=True)
        assert shared.raw_lam.shape == shared.lam.shape == (1,)
        torch.testing.assert_close(shared(x), kind(4, lam=0.3)(x), atol=1e-6, rtol=0)


def test_unbatched_input():
    x = features(2, 3, 8, 8)
    for layer in (TVLayer1d(3, lam=0.2), TVLayer1d(3, lam=0.2, axis="columns"), TVLayer2d(3, lam=0.2)):
        torch.testing.assert_close(layer(x)[1], layer(x[1]), atol=1e-6, rtol=0)


def test_result_does_not_depend_on_the_batch():
    x = features(5, 2, 16, 16) * torch.tensor([1e-3, 0.1, 1, 10, 100])[:, None, None, None]
    for layer in (TVLayer1d(2, lam=0.2), TVLayer2d(2, lam=0.2), TVLayer2d(2, lam=0.2, tv="isotropic")):
        together = layer(x)
        for i in range(5):
            assert torch.equal(together[i], layer(x[i : i + 1])[0])


@given(st.floats(1e-6, 1e3))
def test_lam_starts_where_it_is_told(value):
    assert softplus(torch.tensor(inverse_softplus(value), dtype=torch.float64)).item() == pytest.approx(value, rel=1e-7)
    assert TVLayer2d(2, lam=value).lam.tolist() == pytest.approx([value, value], rel=2e-6)


def test_zero_lam_is_the_identity():
    x = features(1, 2, 6, 6)
    for mode in ("smooth", "sharp"):
        assert torch.equal(TVLayer1d(2, mode, lam=0, learn=False)(x), x)
        torch.testing.assert_close(TVLayer2d(2, mode, lam=0, learn=False)(x), x, atol=1e-6, rtol=0)


@pytest.mark.parametrize("mode", ["smooth", "sharp"])
@pytest.mark.parametrize("share", [False, True])
def test_gradcheck(mode, share):
    x = features(1, 2, 4, 5, dtype=torch.float64).requires_grad_()
    layers = (
        TVLayer1d(2, mode, lam=0.2, share_channels=share),
        TVLayer2d(2, mode, lam=0.1, share_channels=share, tol=1e-13, max_iter=5000),
    )
    for layer in layers:
        layer.double()

        def call(x, raw, layer=layer):
            return torch.func.functional_call(layer, {"raw_lam": raw}, (x,))

        assert torch.autograd.gradcheck(call, (x, layer.raw_lam), eps=1e-6, atol=1e-4)


def test_lam_is_trained():
    x = features(2, 3, 12, 12)
    target = TVLayer2d(3, lam=0.4)(x).detach()
    layer = TVLayer2d(3, lam=0.05)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.2)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = (layer(x) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
    assert layer.lam.tolist() == pytest.approx([0.4] * 3, abs=0.1)


def test_fixed_lam_is_a_buffer():
    layer = TVLayer2d(2, lam=0.3, learn=False)
    assert not list(layer.parameters())
    assert layer.state_dict()["fixed_lam"].tolist() == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize("kind", [TVLayer1d, TVLayer2d])
@pytest.mark.parametrize("learn", [False, True])
def test_state_dict_round_trip(kind, learn):
    x = features(1, 3, 6, 6)
    first, second = kind(3, lam=0.7, learn=learn), kind(3, lam=0.1, learn=learn)
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", [TVLayer1d, TVLayer2d])
def test_half_types(kind, dtype):
    x = features(1, 2, 8, 8)
    layer = kind(2, "sharp", lam=0.3)
    result = layer(x.to(dtype))
    assert result.dtype == dtype
    torch.testing.assert_close(result.float(), layer(x), atol=0.1, rtol=0.05)


def test_autocast():
    x = features(1, 3, 8, 8).requires_grad_()
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), TVLayer2d(4, lam=0.1), torch.nn.Conv2d(4, 1, 3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = network(x).float().square().sum()
    loss.backward()
    assert x.grad.isfinite().all() and network[1].raw_lam.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", [TVLayer1d, TVLayer2d])
def test_compiles_without_graph_breaks(kind):
    x = features(1, 2, 8, 8)
    layer = kind(2, lam=0.2)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    result = compiled(x)
    torch.testing.assert_close(result, layer(x))
    result.sum().backward()
    assert layer.raw_lam.grad is not None


def test_bad_arguments():
    for kind in (TVLayer1d, TVLayer2d):
        for arguments in ({"num_channels": 0}, {"num_channels": 2.0}, {"num_channels": True}):
            with pytest.raises(ValueError, match="num_channels"):
                kind(**arguments)
        with pytest.raises(ValueError, match="mode"):
            kind(1, "soft")
        for lam in (-1, math.nan, math.inf, 0):
            with pytest.raises(ValueError, match="lam"):
                kind(1, lam=lam)
        with pytest.raises(ValueError, match=r"C = 3.*\(1, 2, 4, 4\)"):
            kind(3)(torch.zeros(1, 2, 4, 4))
        with pytest.raises(ValueError, match="C = 3"):
            kind(3)(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="axis"):
        TVLayer1d(1, axis="diagonal")
    for bad in ({"tv": "vectorial"}, {"grad": "none"}, {"max_iter": 0}, {"tol": -1}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            TVLayer2d(1, **bad)


def test_repr_says_what_it_is():
    assert repr(TVLayer1d(4, "sharp", axis="columns")) == (
        "TVLayer1d(4, mode='sharp', learn=True, share_channels=False, axis='columns')"
    )
    assert "tv='isotropic'" in repr(TVLayer2d(4, tv="isotropic"))
