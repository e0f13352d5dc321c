"""Sparse coding: solvers against the conditions of optimality and scikit-learn-free references, LISTA against ISTA."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.evaluation.sparse_coding import evaluate_sparse_coder
from zoo.models.lista import (
    LISTA,
    dct_dictionary,
    duality_gap,
    ista_steps,
    objective,
    soft_threshold,
    solve,
    step_size,
    unit_patches,
)


def patches(count: int, side: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return unit_patches(torch.randn(count, side * side, generator=generator).cumsum(1))


def test_dictionary() -> None:
    atoms = dct_dictionary(4, 6)
    assert atoms.shape == (16, 36)
    torch.testing.assert_close(atoms.norm(dim=0), torch.ones(36))
    torch.testing.assert_close(atoms[:, 0], torch.full((16,), 0.25))
    assert torch.linalg.matrix_rank(atoms) == 16
    # as many frequencies as pixels: the orthogonal transform
    if_square = dct_dictionary(4, 4)
    assert torch.linalg.matrix_rank(if_square) == 16
    with pytest.raises(ValueError, match="frequencies"):
        dct_dictionary(8, 7)


def test_solution_is_optimal() -> None:
    x, atoms, mu = patches(20).double(), dct_dictionary(4, 6).double(), 0.1
    codes = solve(x, atoms, mu, tol=1e-9)
    gap = duality_gap(x, codes, atoms, mu)
    assert (gap >= -1e-12).all() and gap.max() < 1e-8
    # subgradient: |a'r| <= mu, and = mu sign(y) where y is not 0
    correlation = (x - codes @ atoms.T) @ atoms
    assert correlation.abs().max() < mu * (1 + 1e-3)
    used = codes.abs() > 1e-4
    assert used.any() and not used.all()
    torch.testing.assert_close(correlation[used], mu * codes[used].sign(), rtol=1e-2, atol=1e-4)


def test_one_atom_in_closed_form() -> None:
    atom = torch.tensor([[0.6], [0.8]])
    x = torch.tensor([[1.0, 2.0], [0.01, 0.0]])
    expected = soft_threshold(x @ atom, 0.3)
    torch.testing.assert_close(solve(x, atom, 0.3, tol=1e-7), expected)


@given(st.floats(0.01, 0.5), st.integers(0, 100))
def test_gap_bounds_the_excess_and_ista_descends(mu: float, seed: int) -> None:
    x = unit_patches(torch.randn(3, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))
    atoms = dct_dictionary(4, 5).double()
    least = objective(x, solve(x, atoms, mu, tol=1e-9), atoms, mu)
    before = objective(x, torch.zeros(3, 25, dtype=torch.float64), atoms, mu)
    for codes in itertools.islice(ista_steps(x, atoms, mu), 15):
        now = objective(x, codes, atoms, mu)
        assert (now <= before + 1e-12).all()
        assert (now - least <= duality_gap(x, codes, atoms, mu) + 1e-9).all()
        before = now


def test_untrained_lista_is_ista() -> None:
    model = LISTA(side=4, frequencies=6, layers=5, mu=0.1)
    x = patches(7)
    expected = next(itertools.islice(ista_steps(x, model.dictionary, 0.1), 4, None))
    with torch.no_grad():
        torch.testing.assert_close(model(x), expected)
    assert step_size(model.dictionary) == pytest.approx(
        1 / float(torch.linalg.svdvals(model.dictionary)[0] ** 2), rel=1e-5
    )


def test_a_little_training_beats_ista() -> None:
    torch.manual_seed(0)
    model = LISTA(side=4, frequencies=6, layers=4, mu=0.1)
    x = patches(600)
    codes = solve(x, model.dictionary, 0.1, tol=1e-5)
    start = evaluate_sparse_coder(model, x[500:], codes[500:])
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(150):
        loss = (model(x[:500]) - codes[:500]).square().sum() / codes[:500].square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    end = evaluate_sparse_coder(model, x[500:], codes[500:])
    assert start["excess"] == pytest.approx(start["ista"], rel=1e-3)
    assert end["nmse"] < start["nmse"] - 0.5
    assert end["excess"] < 0.8 * end["ista"]
    assert end["ista_equal"] > 4


def test_unit_patches() -> None:
    x = unit_patches(torch.stack([torch.full((9,), 0.7), torch.arange(9.0)]))
    assert torch.equal(x[0], torch.zeros(9))
    assert x[1].norm() == pytest.approx(1) and abs(float(x[1].mean())) < 1e-6


def test_refusals() -> None:
    with pytest.raises(ValueError, match="layers"):
        LISTA(layers=0)
    with pytest.raises(ValueError, match="mu"):
        LISTA(mu=0.0)
