"""Degradations: how the evidence y came from the image x, and minus the log-likelihood E(x | y) of that.

Small objects that can be put together: `Chain([Grey(), Downsample(4), Mask(known)])` is a grey picture, four times
smaller, with holes. All likelihoods are Gaussian, E is a weighted mean of (A x − y)², as in the paper (section 2),
which uses it even for JPEG.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

RIM = 5  # pixels
RIM_WEIGHT = 5.0


class Degradation(ABC):
    """Base of all. Images x are (B, 3, H, W), evidence y whatever shape `forward` gives."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """A x: what the evidence would be without randomness, differentiable."""

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Evidence made from an image, with all that is random or not differentiable; for experiments."""
        return self.forward(x)

    def weight(self, y: Tensor) -> Tensor | None:
        """Weights of the squared errors, as large as y or broadcasting to it; None: all 1."""
        return None

    def undo(self, y: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Roughly the way back: evidence (B, C, h, w) and how much of each pixel is known (B, 1, h, w), of x."""
        return y, known

    def evidence(self, y: Tensor) -> Tensor:
        """y as a picture of full size, roughly filled in, and a fourth channel in [0, 1]: how much is known."""
        image, known = self.undo(y, torch.ones_like(y[:, :1]))
        return torch.cat([image.clamp(0, 1), known], 1)

    def energy(self, x: Tensor, y: Tensor) -> Tensor:
        """E(x | y) of each image, (B,): the weighted mean of (A x − y)²."""
        error = (self.forward(x) - y).square()
        weight = self.weight(y)
        if weight is None:
            return error.flatten(1).mean(1)
        weight = weight.expand_as(error)
        return (weight * error).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1e-6)


class Identity(Degradation):
    """Nothing happened, or something that no operator is known for: y ≈ x."""

    def forward(self, x: Tensor) -> Tensor:
        """x."""
        return x


class Noise(Identity):
    """White Gaussian noise.

    Args:
        sigma: Standard deviation on the 0..255 scale.
    """

    def __init__(self, sigma: float = 25.0) -> None:
        self.sigma = sigma

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """x with noise, not clipped."""
        return x + torch.randn(x.shape, generator=generator).to(x) * (self.sigma / 255)


class JPEG(Identity):
    """JPEG compression, with the plain squared error as likelihood (the paper's appendix H).

    Args:
        quality: 1 … 95.
    """

    def __init__(self, quality: int = 10) -> None:
        self.quality = quality

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """What a JPEG file gives back; one or three channels."""
        made = []
        for picture in x.detach().cpu().clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).numpy():
            sink = io.BytesIO()
            Image.fromarray(picture.squeeze(-1) if picture.shape[2] == 1 else picture).save(
                sink, "JPEG", quality=self.quality
            )
            back = np.asarray(Image.open(sink)).reshape(picture.shape)
            made.append(torch.from_numpy(back.copy()).permute(2, 0, 1))
        return torch.stack(made).to(x) / 255


class Grey(Degradation):
    """Colour is lost: y is the mean of the channels, (B, 1, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the channels."""
        return x.mean(1, keepdim=True)

    def undo(self, y: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Grey in three channels; a third is known."""
        return y.expand(-1, 3, -1, -1), known / 3


class Downsample(Degradation):
    """Smaller by a factor, with the Lanczos filter of three lobes that Pillow has.

    Args:
        factor: 2, 4, 8 or any other whole number.

    Raises:
        ValueError: a factor below 1.
    """

    def __init__(self, factor: int) -> None:
        if factor < 1 or factor != int(factor):
            raise ValueError(f"factor: a whole number of at least 1, got {factor}")
        self.factor = int(factor)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H / factor, W / factor).

        Raises:
            ValueError: sides that the factor does not divide.
        """
        height, width = x.shape[-2:]
        if height % self.factor or width % self.factor:
            raise ValueError(f"image: {height}×{width} cannot be divided by {self.factor}")
        rows = lanczos(height, height // self.factor).to(x)
        columns = lanczos(width, width // self.factor).to(x)
        return torch.einsum("ih,bchw,jw->bcij", rows, x, columns)

    def undo(self, y: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Bicubic enlargement; one in factor² is known."""
        large = F.interpolate(y, scale_factor=float(self.factor), mode="bicubic", align_corners=False)
        return large, F.interpolate(known, scale_factor=float(self.factor)) / self.factor**2


class Mask(Degradation):
    """Pixels are lost.

    Args:
        known: (H, W), (1, H, W) or (B, 1, H, W): 1 where the evidence counts, 0 where nothing is known.
        rim: Known pixels this near to a hole weigh more, so that the result fits at its edge.
        rim_weight: How much more; 1: not at all.

    Raises:
        ValueError: not a mask of this form, or nothing is known at all.
    """

    def __init__(self, known: Tensor, rim: int = RIM, rim_weight: float = RIM_WEIGHT) -> None:
        known = known.float()
        known = known[(None,) * (4 - known.ndim)] if known.ndim in (2, 3) else known
        if known.ndim != 4 or known.shape[1] != 1:
            raise ValueError(f"mask: expected (H, W), (1, H, W) or (B, 1, H, W), got {tuple(known.shape)}")
        if not known.flatten(1).any(1).all():
            raise ValueError("mask: covers the whole picture, so nothing of it is known")
        self.known = known
        near = F.max_pool2d(1 - known, 2 * rim + 1, 1, rim)
        self._weight = known * (1 + (rim_weight - 1) * near)

    def forward(self, x: Tensor) -> Tensor:
        """x with zeros in the holes."""
        return x * self.known.to(x)

    def weight(self, y: Tensor) -> Tensor:
        """0 in the holes, more near them."""
        return self._weight.to(y)

    def undo(self, y: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Holes filled smoothly from around them."""
        here = known * self.known.to(known)
        return fill(y, self.known.to(y).expand_as(y[:, :1])), here


class Chain(Degradation):
    """Several degradations, one after the other. The evidence has the likelihood of the last.

    Args:
        parts: The first is applied to the image itself.
    """

    def __init__(self, parts: Sequence[Degradation]) -> None:
        self.parts = tuple(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Each in turn."""
        for part in self.parts:
            x = part.forward(x)
        return x

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Each in turn."""
        for part in self.parts:
            x = part.degrade(x, generator)
        return x

    def undo(self, y: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Backwards."""
        for part in reversed(self.parts):
            y, known = part.undo(y, known)
        return y, known

    def weight(self, y: Tensor) -> Tensor | None:
        """That of the masks in the chain, which must be as large as y."""
        total = None
        for part in self.parts:
            weight = part.weight(y)
            if weight is not None:
                total = weight if total is None else total * weight
        return total


def fill(image: Tensor, known: Tensor) -> Tensor:
    """Fill holes by the averages of ever larger blocks (push and pull, Gortler et al. 1996).

    Args:
        image: (B, C, H, W).
        known: (B, 1, H, W), 1 or 0.

    Returns:
        The image, unchanged where known; 0.5 where nothing at all is.
    """
    height, width = image.shape[-2:]
    if height == 1 and width == 1:
        return torch.where(known > 0, image, 0.5)
    share = F.avg_pool2d(known, 2, ceil_mode=True, count_include_pad=False)
    small = F.avg_pool2d(image * known, 2, ceil_mode=True, count_include_pad=False) / share.clamp(min=1e-6)
    coarse = fill(small, (share > 0).to(share))
    smooth = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    return torch.where(known > 0, image, smooth)


@lru_cache(maxsize=32)
def lanczos(before: int, after: int) -> Tensor:
    """The matrix (after, before) of Lanczos resampling, as Pillow has it: 3 lobes, widened when a side gets smaller."""
    scale = before / after
    stretch = max(scale, 1.0)
    centres = (torch.arange(after, dtype=torch.float64) + 0.5) * scale
    # Pillow cuts the window at whole pixels
    first = (centres - 3 * stretch + 0.5).floor().clamp(min=0)
    last = (centres + 3 * stretch + 0.5).floor().clamp(max=before)
    pixels = torch.arange(before, dtype=torch.float64)
    distance = (pixels + 0.5 - centres[:, None]) / stretch
    taps = torch.sinc(distance) * torch.sinc(distance / 3) * (distance.abs() < 3)
    taps = taps * ((pixels >= first[:, None]) & (pixels < last[:, None]))
    return (taps / taps.sum(1, keepdim=True)).float()
