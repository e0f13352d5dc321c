"""Muon: steps of gradient descent whose matrices are made orthogonal (Jordan et al. 2024), and Adam for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

# Newton-Schulz for the polar factor in five steps of X <- aX + (bA + cA²)X, A = XXᵀ, by which singular values from the
# largest to a few hundredths of it come to about 1. Each step's polynomial is the best for what the steps before left.
POLAR = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
NARROWEST = 16  # matrices with fewer rows or columns, those at a picture's three channels among them, are left to Adam
UPDATE_RMS = 0.2  # root mean square of an orthogonalised step, as Adam's usually is, so that one rate serves both


def is_wide(parameter: Tensor) -> bool:
    """Whether a parameter is a map between layers that are both wide: a matrix, or the kernel of a convolution."""
    return parameter.ndim in (2, 4) and min(parameter.shape[:2]) >= NARROWEST


def orthogonalised(matrices: Tensor) -> Tensor:
    """U Vᵀ of the singular value decompositions U S Vᵀ of (n, rows, columns), nearly; float32.

    Computed in bfloat16: singular values come out between about 0.7 and 1.2, which is all that is needed.
    """
    turned = matrices.shape[1] > matrices.shape[2]
    X = (matrices.mT if turned else matrices).bfloat16()
    X = X / (X.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for a, b, c in POLAR:
        A = X @ X.mT
        X = a * X + (b * A + c * A @ A) @ X
    return (X.mT if turned else X).float()


class Muon(torch.optim.Optimizer):
    """Muon for maps between wide layers, where it takes several times fewer steps than Adam, and Adam for the rest.

    The kernel (o, i, h, w) of a convolution is a matrix (o, i·h·w). The step of a matrix has root mean square
    0.2 · lr whatever its shape, so that rates are those of Adam (Liu et al. 2025).

    Args:
        params: Parameters, or groups of them, as all optimisers of torch have.
        lr: Rate.
        momentum: Of the matrices, Nesterov's.
        betas: Of Adam.
        eps: Of Adam.
        weight_decay: Decoupled, times the rate.
        adam_scale: Rate of Adam in units of lr.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        adam_scale: float = 1.0,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "adam_scale": adam_scale,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; returns what `closure` does, if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            wide: dict[tuple[int, int], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if group["weight_decay"]:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                if is_wide(parameter):
                    # matrices of one shape take their step together
                    wide.setdefault((parameter.shape[0], parameter[0].numel()), []).append(parameter)
                else:
                    self._adam(parameter, group)
            for shape, parameters in wide.items():
                self._muon(parameters, shape, group)
        return loss

    def _muon(self, parameters: list[Tensor], shape: tuple[int, int], group: dict[str, Any]) -> None:
        directions = []
        for parameter in parameters:
            assert parameter.grad is not None
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            average = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
            directions.append(parameter.grad.lerp(average, group["momentum"]).reshape(shape))
        size = group["lr"] * UPDATE_RMS * max(shape) ** 0.5
        for parameter, step in zip(parameters, orthogonalised(torch.stack(directions)), strict=True):
            parameter.add_(step.view(parameter.shape), alpha=-size)

    def _adam(self, parameter: Tensor, group: dict[str, Any]) -> None:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state |= {
                "step": torch.zeros(()),
                "mean": torch.zeros_like(parameter),
                "square": torch.zeros_like(parameter),
            }
        first, second = group["betas"]
        state["step"] += 1
        count = float(state["step"])
        state["mean"].lerp_(parameter.grad, 1 - first)
        state["square"].lerp_(parameter.grad.square(), 1 - second)
        root = (state["square"] / (1 - second**count)).sqrt_().add_(group["eps"])
        parameter.addcdiv_(state["mean"], root, value=-group["lr"] * group["adam_scale"] / (1 - first**count))
