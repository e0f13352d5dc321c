"""Latent convolutional models and their baselines: shapes, counts of parameters, and batches that do not mix."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from zoo import registry
from zoo.models.dip import DIP
from zoo.models.glo import into_ball_
from zoo.models.latent import LatentModel
from zoo.models.lcm import BOX, LCM, latent_nets, phi_count
from zoo.models.lcm_encoder import LatentEncoder
from zoo.models.wgan import Critic, gradient_penalty

TINY = {
    "lcm": {"width": 1 / 32},
    "glo": {"width": 1 / 32},
    "glo_vector": {"dim": 8, "width": 16, "size": 32},
    "ae": {"dim": 8, "width": 16, "size": 32},
    "wgan_gp": {"dim": 8, "width": 16, "size": 32},
}


def loop_of_modules(phi: Tensor, s: Tensor, widths: tuple[int, ...]) -> Tensor:
    """The latent nets as the authors have them: one module an image."""
    made = []
    for row in phi:
        layers: list[nn.Module] = []
        start = 0
        for index, (inside, outside) in enumerate(itertools.pairwise(widths)):
            conv = nn.Conv2d(inside, outside, 3, bias=False)
            conv.weight.data = row[start : start + conv.weight.numel()].view_as(conv.weight)
            start += conv.weight.numel()
            layers.append(conv)
            if index < len(widths) - 2:
                layers.append(nn.BatchNorm2d(outside, affine=False))
            layers.append(nn.LeakyReLU(0.2))
        made.append(nn.Sequential(*layers).train()(s[None]))
    return torch.cat(made)


def test_batched_nets_are_the_modules() -> None:
    generator = torch.Generator().manual_seed(0)
    model = LCM(width=1 / 32)
    phi = torch.stack([model.start(generator) for _ in range(3)])
    widths = (2, 8, 16, 32, 64)
    expected = loop_of_modules(phi, model.s, widths)
    assert expected.shape == (3, 64, 32, 32)
    torch.testing.assert_close(model.latent(phi), expected, rtol=1e-4, atol=1e-7)


@given(st.integers(1, 4), st.lists(st.integers(1, 4), min_size=2, max_size=4), st.integers(0, 3))
def test_batched_nets_of_any_shape(count: int, widths: list[int], extra: int) -> None:
    side = 2 * (len(widths) - 1) + 2 + extra
    s = torch.rand(widths[0], side, side + 1, generator=torch.Generator().manual_seed(1))
    phi = torch.randn(count, phi_count(widths), generator=torch.Generator().manual_seed(2))
    expected = loop_of_modules(phi, s, tuple(widths))
    torch.testing.assert_close(latent_nets(phi, s, widths), expected, rtol=1e-3, atol=1e-4)


def test_counts_of_the_paper() -> None:
    assert phi_count((2, 8, 16, 32, 64)) == 24_336
    assert LCM(width=1 / 32).s.shape == (2, 40, 40)
    # 38 M at full width, a quarter of it at half width; GLO's latent is "24,576" in the paper's table 3
    with torch.device("meta"):
        parameters = {
            (size, width): sum(p.numel() for p in LCM(size, width).generator.parameters())
            for size, width in ((128, 1.0), (128, 0.5), (256, 1.0), (1024, 1.0))
        }
    assert parameters[128, 1.0] == pytest.approx(38e6, rel=0.03)
    assert parameters[128, 0.5] == pytest.approx(9.6e6, rel=0.03)
    assert parameters[256, 1.0] == pytest.approx(30e6, rel=0.05)
    assert parameters[1024, 1.0] == pytest.approx(40e6, rel=0.05)
    assert torch.Size(registry.build("glo", TINY["glo"]).latent_shape).numel() == 24_576


@pytest.mark.parametrize(("size", "latent", "low"), [(256, 61_200, 4), (1024, 134_928, 32)])
def test_larger_sizes(size: int, latent: int, low: int) -> None:
    with torch.device("meta"):
        model = LCM(size, 1.0)
    model = model.to_empty(device="meta").eval()
    assert model.latent_shape == (latent,)
    z = model.latent(torch.empty(1, latent, device="meta"))
    assert z.shape == (1, 64, size // 4, size // 4)
    x = z
    for stage in model.generator.encode:
        x = stage(x)
    assert x.shape[-2:] == (low, low)
    assert model.generator(z).shape == (1, 3, size, size)


@pytest.mark.parametrize("arch", sorted(TINY))
def test_every_prior(arch: str) -> None:
    torch.manual_seed(0)
    model = registry.build(arch, TINY[arch]).eval()
    assert isinstance(model, LatentModel)
    generator = torch.Generator().manual_seed(3)
    latents = torch.stack([model.start(generator) for _ in range(3)])
    images = model(latents)
    assert images.shape == (3, 3, model.size, model.size) and images.dtype == torch.float32
    assert images.min() >= 0 and images.max() <= 1
    for index in range(3):
        torch.testing.assert_close(model(latents[index : index + 1])[0], images[index], rtol=1e-3, atol=1e-4)
    assert torch.equal(model(model.golden_input()), model(model.golden_input()))
    variables = latents.clone().requires_grad_()
    model(variables).square().sum().backward()
    assert variables.grad is not None and variables.grad.abs().sum() > 0


def test_what_latents_are_kept_in() -> None:
    model = LCM(width=1 / 32)
    assert torch.equal(model.project_(torch.tensor([[-1.0, 0.003, 1.0]])), torch.tensor([[-BOX, 0.003, BOX]]))
    latents = torch.stack([torch.full((4, 2), 3.0), torch.full((4, 2), 0.5)])
    into_ball_(latents)
    assert torch.equal(latents, torch.stack([torch.ones(4, 2), torch.full((4, 2), 0.5)]))


def test_penalty_of_a_linear_critic() -> None:
    # D(x) = <a, x>: the slope is a everywhere, and the penalty (|a| - 1)^2
    a = torch.full((3, 4, 4), 0.25)
    real, fake = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    penalty = gradient_penalty(lambda x: (a * x).flatten(1).sum(1), real, fake, torch.rand(2, 1, 1, 1))  # type: ignore[arg-type]
    assert float(penalty) == pytest.approx((48**0.5 * 0.25 - 1) ** 2, rel=1e-5)
    assert Critic(16, 32)(torch.rand(2, 3, 32, 32)).shape == (2,)


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (8, 8)])
def test_hourglass_keeps_the_size(size: tuple[int, int]) -> None:
    net, noise = DIP(width=8).network(*size, seed=1)
    assert net(noise).shape == (1, 3, *size)
    again, same = DIP(width=8).network(*size, seed=1)
    assert torch.equal(noise, same) and torch.equal(net(noise), again(noise))
    other, _ = DIP(width=8).network(*size, seed=2)
    assert not torch.equal(net(noise), other(noise))
    state = torch.get_rng_state()
    DIP(width=8).network(*size, seed=2)
    assert torch.equal(state, torch.get_rng_state()), "torch's own generator is left alone"


def test_hourglass_of_the_paper_has_two_million_weights() -> None:
    net, _ = DIP().network(64, 64, 0)
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(2.2e6, rel=0.1)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="size"):
        LCM(100)
    with pytest.raises(ValueError, match="width"):
        LCM(width=0.001)
    with pytest.raises(ValueError, match="phi"):
        LCM(width=1 / 32)(torch.zeros(1, 7))
    with pytest.raises(ValueError, match="at least 8"):
        DIP().network(4, 64, 0)
    with pytest.raises(ValueError, match="size"):
        registry.build("wgan_gp", {"size": 48})


def test_an_encoder_becomes_another_one() -> None:
    torch.manual_seed(0)
    wide = LatentEncoder(50, 6, 16, 16, length=0.1).eval()
    with torch.no_grad():
        wide.mean.normal_()
        wide.basis[4:] *= 1e-3  # next to nothing
        wide.encoder.linear.weight.mul_(5)
    evidence = torch.rand(40, 4, 16, 16)
    with torch.no_grad():
        wanted = wide(evidence)
        assert wanted.square().mean(1).sqrt() == pytest.approx(torch.full((40,), 0.1), rel=1e-4)
        assert (wanted[0] - wanted[1]).abs().max() > 1e-3
        for rank, tol in ((6, 1e-5), (4, 1e-3)):
            narrow = LatentEncoder(50, rank, 16, 16, length=0.1).eval()
            narrow.adopt(wide, evidence)
            torch.testing.assert_close(narrow(evidence), wanted, rtol=0, atol=tol)
        assert narrow.coefficients(evidence).std(0, correction=0) == pytest.approx(torch.ones(4), rel=0.02)
        with pytest.raises(ValueError, match="at least 4 pictures"):
            narrow.adopt(wide, evidence[:3])
    more = LatentEncoder(50, 8, 16, 16, length=0.1).eval()
    more.adopt(wide, evidence)
    coefficients = more.coefficients(evidence).detach()
    torch.testing.assert_close(coefficients[:, :6], wide.coefficients(evidence).detach())
    assert 0 < coefficients[:, 6:].std() < 0.2 * coefficients[:, :6].std(), "what is new begins small"
    with pytest.raises(ValueError, match="does not become"):
        LatentEncoder(50, 4, 32, 16, length=0.1).adopt(wide, evidence)
