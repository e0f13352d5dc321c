"""Modules made ready for half precision."""

import pytest
import torch
from torch import nn

from zoo import precision
from zoo.models.lcm import LCM
from zoo.precision import fast, has_bfloat16, ready_for_fast

CPU = torch.device("cpu")


@pytest.fixture
def model() -> LCM:
    torch.manual_seed(0)
    return LCM(64, 0.125).eval()


def test_a_frozen_copy_computes_the_same_to_the_bit(model: LCM) -> None:
    if not has_bfloat16(CPU):
        pytest.skip("this processor has no bfloat16")
    twin = ready_for_fast(model, CPU)
    phi = model.start(torch.Generator().manual_seed(1))[None].repeat(2, 1).requires_grad_()
    images, slopes = [], []
    for one in (model, twin):
        with fast(CPU):
            image = one.decode(phi)
        images.append(image.detach())
        slopes.append(torch.autograd.grad(image.square().sum(), phi)[0])
    assert twin is not model
    assert torch.equal(images[0], images[1])
    assert torch.equal(slopes[0], slopes[1]) and slopes[0].abs().max() > 0


def test_the_module_itself_stays_as_it_is(model: LCM, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)
    twin = ready_for_fast(model, CPU)
    assert all(value.dtype == torch.bfloat16 for value in twin.generator.head[0].parameters())
    assert not any(value.requires_grad for value in twin.parameters())
    assert all(value.requires_grad for value in model.parameters())
    for name, value in model.state_dict().items():
        assert value.dtype == before[name].dtype and torch.equal(value, before[name])


def test_without_bfloat16_nothing_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)
    module = nn.Conv2d(1, 1, 1)
    assert ready_for_fast(module, CPU) is module
