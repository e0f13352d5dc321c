"""Results in their pictures: no seam, and known pixels as they were."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.restore.blend import feather, fill_seamlessly, membrane
from zoo.restore.mixture import fit_mixture, principal_components


def test_membrane_is_the_sparse_solution() -> None:
    sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
    from scipy.sparse.linalg import spsolve

    generator = torch.Generator().manual_seed(0)
    values = torch.rand(1, 13, 17, generator=generator)
    known = torch.rand(13, 17, generator=generator) < 0.3
    inside = np.flatnonzero(~known.numpy())
    place = {int(pixel): row for row, pixel in enumerate(inside)}
    matrix = sparse.lil_matrix((len(inside), len(inside)))
    right = np.zeros(len(inside))
    for pixel, row in place.items():
        y, x = divmod(pixel, 17)
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < 13 and 0 <= u < 17:
                matrix[row, row] += 1
                if known[v, u]:
                    right[row] += float(values[0, v, u])
                else:
                    matrix[row, place[v * 17 + u]] -= 1
    expected = values[0].double().numpy().copy()
    expected.ravel()[inside] = spsolve(matrix.tocsr(), right)
    found = membrane(values, known, tol=1e-6, max_iter=2000)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0, 1), st.integers(0, 2**31))
def test_membrane_of_anything(height: int, width: int, share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(2, height, width, generator=generator)
    known = torch.rand(height, width, generator=generator) < share
    made = membrane(values, known)
    assert torch.isfinite(made).all()
    assert torch.equal(made[:, known], values[:, known])
    if not known.any():
        assert not made.any()


def test_no_seam_and_nothing_known_changes() -> None:
    y, x = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    picture = torch.stack([0.3 + 0.4 * x, 0.3 + 0.4 * y, 0.5 + 0 * x])
    known = torch.ones(64, 64, dtype=torch.bool)
    known[20:44, 24:40] = False
    # a result that is right but for its brightness, as a prior's often is
    result = picture + 0.1 + 0.05 * x
    made = fill_seamlessly(picture, result.clamp(0, 1), known)
    assert torch.equal(made[:, known], picture[:, known])
    plain = torch.where(known, picture, result)
    steps = [torch.cat([p.diff(dim=1).flatten(), p.diff(dim=2).flatten()]).abs().max() for p in (picture, made, plain)]
    assert steps[1] < steps[0] + 0.01, "no larger step than the picture's own"
    assert steps[2] > 0.1, "which pasting would have made"
    assert float((made - picture).abs().max()) < 0.05


def test_feather() -> None:
    weights = feather(20, 30, (True, False, False, True), share=0.2)
    assert weights[-1, 0] == 1 and weights[0].max() < 0.1 and weights[:, -1].max() < 0.1
    assert torch.equal(feather(5, 5, (False,) * 4), torch.ones(5, 5))
    assert (weights.diff(dim=0) >= 0).all() and (weights.diff(dim=1) <= 0).all()


def test_components_are_those_of_the_covariance() -> None:
    rows = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([5.0, 3, 2, 1, 0.5, 0.1])
    values = np.linalg.eigvalsh(np.cov(rows.numpy().T))[::-1]
    for data in (rows, torch.cat([rows, torch.zeros(40, 60)], 1)):  # more rows than columns, and fewer
        mean, basis, spread = principal_components(data, 3)
        torch.testing.assert_close(mean, data.mean(0))
        torch.testing.assert_close(basis @ basis.T, torch.eye(3), atol=1e-5, rtol=0)
        np.testing.assert_allclose(spread.numpy() ** 2, values[:3], rtol=1e-4)
    with pytest.raises(ValueError, match="rank"):
        principal_components(rows, 40)


def test_mixture_finds_two_clouds() -> None:
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(300, 2, generator=generator) * torch.tensor([0.5, 0.1]) + torch.tensor([3.0, 0.0])
    b = torch.randn(100, 2, generator=generator) * 0.3 - torch.tensor([3.0, 0.0])
    mixture = fit_mixture(torch.cat([a, b]), 2, ridge=1e-6)
    heavy = int(mixture.weights.argmax())
    assert float(mixture.weights[heavy]) == pytest.approx(0.75, abs=0.01)
    torch.testing.assert_close(mixture.centres[heavy].float(), a.mean(0), atol=0.02, rtol=0)
    covariance = mixture.factors[heavy] @ mixture.factors[heavy].T
    torch.testing.assert_close(covariance.float(), a.T.cov(correction=0), atol=0.01, rtol=0)
    # its density is torch's
    expected = torch.distributions.MultivariateNormal(mixture.centres, scale_tril=mixture.factors)
    rows = a[:5].double()
    torch.testing.assert_close(mixture.log_density(rows), expected.log_prob(rows[:, None]) + mixture.weights.log())
