from __future__ import annotations

import pytest
import torch
from torch import nn

import cuda_src
from zoo import registry
from zoo.models.dncnn import DnCNN


def trained(tv: bool) -> DnCNN:
    torch.manual_seed(0)
    model = DnCNN(depth=5, width=6, tv=tv, norm=True, lam=0.03)
    for norm in model.norms:
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.3, 0.3)
    for _ in range(20):
        model(torch.rand(4, 3, 16, 16))
    return model.eval()


@pytest.mark.parametrize("tv", [False, True])
def test_merging_norm_changes_nothing(tv: bool) -> None:
    model = trained(tv)
    merged = model.merge_norm().eval()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in merged.modules())
    image = torch.rand(2, 3, 20, 24)
    with torch.no_grad():
        torch.testing.assert_close(merged(image), model(image), rtol=1e-4, atol=2e-5)
        assert (merged(image) - image).abs().max() > 1e-3


def test_equation_14() -> None:
    model = trained(tv=True).merge_norm().eval()
    plain = DnCNN(depth=5, width=6)
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("tv")})
    with torch.no_grad():
        model.tv_out.raw_lam += 1.0
    image = torch.rand(1, 3, 18, 18)
    with torch.no_grad():
        smooth = cuda_src.prox_tv2d(image, model.tv_in.lam, tol=1e-4, max_iter=100)
        expected = cuda_src.prox_tv2d(plain(smooth), model.tv_out.lam, tol=1e-4, max_iter=100)
        torch.testing.assert_close(model(image), expected)


def test_both_lams_are_trained() -> None:
    model = DnCNN(depth=3, width=4, tv=True)
    model(torch.rand(1, 3, 16, 16)).square().sum().backward()
    for layer in (model.tv_in, model.tv_out):
        assert layer.raw_lam.shape == (1,)
        assert layer.raw_lam.grad is not None and layer.raw_lam.grad.abs() > 0


def test_result_does_not_depend_on_the_batch() -> None:
    model = trained(tv=True).merge_norm().eval()
    images = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(model(images)[1:2], model(images[1:2]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("arch", "tv"), [("dncnn", False), ("dncnn_tv", True)])
def test_registered(arch: str, tv: bool) -> None:
    model = registry.build(arch, {"depth": 3, "width": 4})
    assert any(name.endswith("raw_lam") for name in model.state_dict()) == tv


def test_depth_is_checked() -> None:
    with pytest.raises(ValueError, match="depth"):
        DnCNN(depth=1)


@pytest.mark.parametrize("tv", [False, True])
def test_norm_is_given_back(tv: bool) -> None:
    merged = trained(tv).merge_norm().eval()
    torch.manual_seed(1)
    model = DnCNN(depth=5, width=6, tv=tv, norm=True)
    batches = [torch.rand(8, 3, 24, 24) for _ in range(3)]
    model.take_merged(merged, batches)
    image = torch.rand(2, 3, 20, 24)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(image), merged(image), rtol=1e-4, atol=2e-5)
        torch.testing.assert_close(model.merge_norm().eval()(image), merged(image), rtol=1e-4, atol=2e-5)
        # in training mode with the statistics of each batch, which differ a little
        change = merged(batches[0]) - batches[0]
        difference = model.train()(batches[0]) - merged(batches[0])
        assert difference.square().mean() < 0.02 * change.square().mean()


def test_norm_is_given_back_only_to_what_fits() -> None:
    merged = trained(tv=False).merge_norm()
    with_layers = DnCNN(depth=5, width=6, tv=True, norm=True, lam=0.02)
    with_layers.take_merged(merged, [torch.rand(2, 3, 16, 16)])
    assert with_layers.tv_in.lam.item() == pytest.approx(0.02)
    with pytest.raises(ValueError, match="5, 6, 3, not 4, 6, 3"):
        DnCNN(depth=4, width=6, norm=True).take_merged(merged, [])
    with pytest.raises(ValueError, match="batch norm"):
        DnCNN(depth=5, width=6, norm=True).take_merged(trained(tv=False), [])
    with pytest.raises(ValueError, match="TV layers"):
        DnCNN(depth=5, width=6, norm=True).take_merged(trained(tv=True).merge_norm(), [])


@pytest.mark.parametrize("tv", [False, True])
def test_scaled_to_other_noise(tv: bool) -> None:
    model = trained(tv).merge_norm().eval()
    if tv:  # what the border does would spread through the TV layers
        nn.init.zeros_(model.convs[0].weight)
    torch.manual_seed(2)
    twice = model.scaled(2.0)
    image = torch.rand(2, 3, 30, 28)
    with torch.no_grad():
        expected = 0.5 + 2 * (model(0.5 + (image - 0.5) / 2) - 0.5)
        inner = (..., slice(6, -6), slice(6, -6))  # zeros beyond the border are no mid-grey
        torch.testing.assert_close(twice(image)[inner], expected[inner], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(twice.scaled(0.5)(image), model(image), rtol=1e-4, atol=1e-5)
    for factor in (0.0, -1.0):
        with pytest.raises(ValueError, match="positive"):
            model.scaled(factor)
    with pytest.raises(ValueError, match="merge"):
        trained(tv).scaled(2.0)


@pytest.mark.parametrize("tv", [False, True])
def test_deepened_computes_the_same(tv: bool) -> None:
    model = trained(tv).merge_norm().eval()
    deeper = model.deepened(8)
    assert len(deeper.convs) == 8
    image = torch.rand(2, 3, 20, 24)
    with torch.no_grad():
        torch.testing.assert_close(deeper.eval()(image), model(image), rtol=1e-5, atol=1e-6)
    deeper(image).square().sum().backward()
    assert all(conv.weight.grad.abs().sum() > 0 for conv in deeper.convs), "the new convolutions learn"
    with pytest.raises(ValueError, match="at least 5, got 4"):
        model.deepened(4)
    with pytest.raises(ValueError, match="merge"):
        trained(tv).deepened(8)
