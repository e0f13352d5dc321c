"""Sparse coding of patches: ISTA, FISTA and LISTA (Gregor & LeCun 2010), the last one trained."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from ..registry import register_arch


def soft_threshold(values: Tensor, threshold: float | Tensor) -> Tensor:
    """The prox of the l1 norm: sign(v) max(|v| - threshold, 0)."""
    return values.sign() * (values.abs() - threshold).clamp(min=0)


def dct_dictionary(side: int, frequencies: int) -> Tensor:
    """An overcomplete 2-D cosine dictionary with atoms of unit norm (Elad & Aharon 2006).

    Args:
        side: Height and width of a patch.
        frequencies: Frequencies along each axis, at least `side`.

    Returns:
        A, (side^2, frequencies^2); column 0 is the constant patch.

    Raises:
        ValueError: fewer frequencies than pixels along an axis.
    """
    if frequencies < side:
        raise ValueError(f"frequencies: at least the side {side}, got {frequencies}")
    n = torch.arange(side, dtype=torch.float64)[:, None]
    k = torch.arange(frequencies, dtype=torch.float64)[None]
    waves = torch.cos(n * k * torch.pi / frequencies)
    waves[:, 1:] -= waves[:, 1:].mean(0)
    waves /= waves.norm(dim=0)
    return torch.kron(waves, waves).float()


def objective(x: Tensor, codes: Tensor, dictionary: Tensor, mu: float) -> Tensor:
    """1/2 ||x - A y||^2 + mu ||y||_1 of each row.

    Args:
        x: Patches, (B, n).
        codes: y, (B, m).
        dictionary: A, (n, m).
        mu: Weight of the l1 norm.

    Returns:
        (B,).
    """
    return 0.5 * (x - codes @ dictionary.T).square().sum(-1) + mu * codes.abs().sum(-1)


def duality_gap(x: Tensor, codes: Tensor, dictionary: Tensor, mu: float) -> Tensor:
    """How far `objective` is above its minimum, at most: (B,). The dual point is the scaled residual."""
    residual = x - codes @ dictionary.T
    scale = (mu / (residual @ dictionary).abs().amax(-1, keepdim=True).clamp(min=1e-30)).clamp(max=1)
    dual = residual * scale
    return objective(x, codes, dictionary, mu) - (0.5 * x.square().sum(-1) - 0.5 * (x - dual).square().sum(-1))


def step_size(dictionary: Tensor) -> float:
    """The largest step with which ISTA descends for sure: 1 / ||A||^2."""
    return float(1 / torch.linalg.matrix_norm(dictionary.double(), 2) ** 2)


def ista_steps(x: Tensor, dictionary: Tensor, mu: float, *, accelerate: bool = False) -> Iterator[Tensor]:
    """The iterates of ISTA, y <- soft((Id - a A'A) y + a A'x, a mu), from y = 0, without end.

    With a quadratic term of 1/2 ||x - A y||^2 the threshold is a mu; some texts print 2 a mu, which belongs to a
    quadratic term without the half.

    Args:
        x: Patches, (B, n).
        dictionary: A, (n, m).
        mu: Weight of the l1 norm.
        accelerate: FISTA (Beck & Teboulle 2009).

    Yields:
        Codes (B, m) after each iteration.
    """
    alpha = step_size(dictionary)
    gram, correlation = alpha * dictionary.T @ dictionary, alpha * x @ dictionary
    codes = torch.zeros_like(correlation)
    point, t = codes, 1.0
    while True:
        after = soft_threshold(point - point @ gram + correlation, alpha * mu)
        t_after = (1 + (1 + 4 * t * t) ** 0.5) / 2
        point = after + ((t - 1) / t_after) * (after - codes) if accelerate else after
        codes, t = after, t_after
        yield codes


def solve(x: Tensor, dictionary: Tensor, mu: float, *, tol: float = 1e-6, max_iter: int = 10_000) -> Tensor:
    """Codes whose duality gap is at most `tol` times the objective, by FISTA; what LISTA learns to reach.

    Args:
        x: Patches, (B, n).
        dictionary: A, (n, m).
        mu: Weight of the l1 norm.
        tol: Relative duality gap, of the worst patch.
        max_iter: Limit on the iterations.

    Returns:
        (B, m).
    """
    codes = x.new_zeros(len(x), dictionary.shape[1])
    for index, codes in enumerate(ista_steps(x, dictionary, mu, accelerate=True), start=1):
        if index == max_iter:
            break
        if index % 20 == 0:
            gap = duality_gap(x, codes, dictionary, mu)
            if (gap <= tol * objective(x, codes, dictionary, mu).clamp(min=1e-12)).all():
                break
    return codes


@register_arch("lista")
class LISTA(nn.Module):
    """ISTA unrolled into layers y_k = soft((Id - V_k) y_{k-1} + W_k' x, theta_k), all of them trained.

    Before training it computes exactly what as many iterations of ISTA do.

    Args:
        side: Height and width of a patch.
        frequencies: Of the cosine dictionary, along each axis.
        layers: Number of layers.
        mu: Weight of the l1 norm, for patches of unit norm.

    Raises:
        ValueError: fewer than 1 layer, or mu not positive.
    """

    dictionary: Tensor

    def __init__(self, side: int = 8, frequencies: int = 12, layers: int = 8, mu: float = 0.1) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers: at least 1, got {layers}")
        if not mu > 0:
            raise ValueError(f"mu: must be positive, got {mu}")
        self.side, self.mu = side, mu
        dictionary = dct_dictionary(side, frequencies)
        alpha = step_size(dictionary)
        self.register_buffer("dictionary", dictionary, persistent=False)
        atoms = dictionary.shape[1]
        self.encode = nn.ParameterList(alpha * dictionary for _ in range(layers))  # W_k, (n, m)
        # V_1 is absent: it acts on y_0 = 0
        self.couple = nn.ParameterList(alpha * dictionary.T @ dictionary for _ in range(layers - 1))  # V_k, (m, m)
        self.threshold = nn.ParameterList(torch.full((atoms,), alpha * mu) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """Codes (B, m) of patches (B, side^2), of unit norm as in training."""
        codes = soft_threshold(x @ self.encode[0], self.threshold[0])
        for encode, couple, threshold in zip(self.encode[1:], self.couple, self.threshold[1:], strict=True):
            codes = soft_threshold(codes - codes @ couple.T + x @ encode, threshold)
        return codes

    def golden_input(self) -> Tensor:
        """Patches from a formula."""
        waves = torch.sin(torch.outer(torch.arange(1, 5) * 0.7, torch.arange(self.side**2, dtype=torch.float32)))
        return unit_patches(waves)


def unit_patches(patches: Tensor) -> Tensor:
    """Patches (B, n) with their mean taken off, scaled to unit norm; constant ones become 0."""
    centred = patches - patches.mean(-1, keepdim=True)
    norm = centred.norm(dim=-1, keepdim=True)
    return torch.where(norm > 1e-4, centred / norm.clamp(min=1e-4), torch.zeros_like(centred))
