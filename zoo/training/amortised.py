"""Latents by a network at first: what it learns from one picture helps the next, which latents of their own do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..models.latent import LatentModel
from ..models.lcm_encoder import LatentEncoder
from ..restore.degradation import Identity
from .objective import Moment
from .start import fill

CLIP = 1.0  # largest norm of the gradient
COMPONENTS = 1000  # pictures that principal components of coefficients are taken from


def predicting_network(state: Mapping[str, Any], length: float, where: str) -> LatentEncoder | None:
    """The network that predicted the latents of another run.

    Args:
        state: That run's checkpoint.
        length: Root mean square of a latent.
        where: Where the checkpoint is, for messages.

    Returns:
        The network in eval mode, or None if that run has none.

    Raises:
        ValueError: it is none of this version.
    """
    predictor = state["objective"].get("predictor") if state.get("objective") else None
    if predictor is None:
        return None
    weights = predictor["network"]
    rank, count = weights["basis"].shape
    width = weights["encoder.linear.weight"].shape[1] // 16
    halvings = sum(key.startswith("encoder.stages.") and key.endswith(".0.weight") for key in weights)
    network = LatentEncoder(count, rank, width, 4 << halvings, length)
    fill(network, weights, where)
    return network.eval()


class Predictor:
    """A network from pictures to their latents, that trains along with the generator by an optimiser of its own.

    Its step is taken when the next one begins, or when its state is asked for.

    Args:
        model: The prior that the latents are for.
        rank: Number of coefficients; a latent with fewer numbers has as many as these.
        width: Channels of the encoder at 4×4.
        seed: Of the latent that all pictures start from.
    """

    def __init__(self, model: LatentModel, rank: int, width: int, seed: int) -> None:
        self.model = model
        with torch.device("cpu"):
            start = model.start(torch.Generator().manual_seed(seed)).flatten()
        length = float(start.square().mean().sqrt())
        self.network = LatentEncoder(len(start), min(rank, len(start)), width, model.size, length)
        with torch.no_grad():
            self.network.mean.copy_(start / length)
        self._optimiser = torch.optim.Adam(self.network.parameters(), betas=(0.9, 0.99))
        self._lr = 0.0

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.network.mean.device

    def latents(self, images: Tensor, moment: Moment, lr: float) -> Tensor:
        """Latents to train with, (B, *shape): their gradient is the network's."""
        self.settle()
        if self.device != moment.device:
            self.network.to(moment.device)
            self._optimiser.load_state_dict(self._optimiser.state_dict())  # what it keeps goes along
        self.network.train()
        self._lr = lr
        return self.model.project_(self._latents(images))

    def _latents(self, images: Tensor) -> Tensor:
        return self.network(Identity().evidence(images)).unflatten(1, self.model.latent_shape)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Latents as they are predicted now."""
        self.settle()
        self.network.to(images.device).eval()
        with torch.autocast(images.device.type, enabled=False):
            return self.model.project_(self._latents(images))

    def adopt(self, other: LatentEncoder, images: Tensor) -> None:
        """Begin with a network that is there already.

        Args:
            other: For the same latents.
            images: Some of those to come, (B, 3, size, size), at least as many as there are coefficients.

        Raises:
            ValueError: it does not fit.
        """
        self.network.adopt(other.eval(), Identity().evidence(images))

    def settle(self) -> None:
        """Take the step whose gradient is there."""
        parameters = list(self.network.parameters())
        if all(parameter.grad is None for parameter in parameters):
            return
        nn.utils.clip_grad_norm_(parameters, CLIP)
        self._optimiser.param_groups[0]["lr"] = self._lr
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        self.settle()
        return {"network": self.network.state_dict(), "optimiser": self._optimiser.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
