"""Muon against singular value decompositions, and Adam against torch's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from zoo.training.muon import UPDATE_RMS, Muon, is_wide, orthogonalised


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 24, 80), (2, 80, 24)])
def test_singular_values_come_to_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(shape) * torch.tensor([1.0, 1e-3, 100.0])[: shape[0], None, None]
    found = orthogonalised(matrices)
    values = torch.linalg.svdvals(found)
    assert values.max() < 1.3
    assert values[:, : min(shape[1:]) // 2].min() > 0.7
    U, _, V = torch.linalg.svd(matrices, full_matrices=False)
    polar = U @ V
    assert ((found * polar).sum((1, 2)) / (found.norm(dim=(1, 2)) * polar.norm(dim=(1, 2)))).min() > 0.95


def test_a_matrix_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(1)
    matrices = torch.randn(4, 16, 40)
    torch.testing.assert_close(orthogonalised(matrices)[1:2], orthogonalised(matrices[1:2]), rtol=0.02, atol=0.01)


def test_what_is_wide() -> None:
    assert is_wide(torch.zeros(16, 16, 3, 3)) and is_wide(torch.zeros(20, 30))
    assert not is_wide(torch.zeros(16, 3, 3, 3)) and not is_wide(torch.zeros(64))


def test_narrow_parameters_follow_adam() -> None:
    torch.manual_seed(2)
    ours, theirs = nn.Linear(5, 4), nn.Linear(5, 4)
    theirs.load_state_dict(ours.state_dict())
    pair = (
        (ours, Muon(ours.parameters(), lr=1e-2, betas=(0.8, 0.95), adam_scale=0.5)),
        (theirs, torch.optim.Adam(theirs.parameters(), lr=5e-3, betas=(0.8, 0.95))),
    )
    for seed in range(5):
        x = torch.randn(7, 5, generator=torch.Generator().manual_seed(seed))
        for model, optimiser in pair:
            optimiser.zero_grad()
            model(x).square().mean().backward()
            optimiser.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=1e-4, atol=1e-6)


def test_first_step_of_a_kernel() -> None:
    """Down its gradient's polar factor, by 0.2 lr at root mean square, less its decay."""
    torch.manual_seed(3)
    conv = nn.Conv2d(16, 16, 3, bias=False)
    before = conv.weight.detach().clone()
    optimiser = Muon(conv.parameters(), lr=0.1, weight_decay=0.5)
    conv.weight.grad = torch.randn_like(conv.weight)
    optimiser.step()
    moved = (conv.weight.detach() - 0.95 * before).flatten(1)
    U, _, V = torch.linalg.svd(conv.weight.grad.flatten(1), full_matrices=False)
    assert float(-(moved * (U @ V)).sum() / (moved.norm() * 4)) > 0.95
    assert float(moved.square().mean().sqrt()) == pytest.approx(0.1 * UPDATE_RMS, rel=0.2)


def test_it_goes_on_from_its_state() -> None:
    def stepped(optimiser: Muon, model: nn.Module, seed: int) -> None:
        x = torch.randn(8, 16, generator=torch.Generator().manual_seed(seed))
        optimiser.zero_grad()
        model(x).square().mean().backward()
        optimiser.step()

    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, 16))
    optimiser = Muon(model.parameters(), lr=1e-2)
    stepped(optimiser, model, 0)
    again = nn.Sequential(nn.Linear(16, 20), nn.ReLU(), nn.Linear(20, 16))
    again.load_state_dict(model.state_dict())
    resumed = Muon(again.parameters(), lr=1e-2)
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    stepped(optimiser, model, 1)
    stepped(resumed, again, 1)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
