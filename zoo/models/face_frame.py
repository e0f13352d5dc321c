"""How far a square of a photograph is off the framing that the face models know; holes in the face do not matter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import register_arch

# A frame is a row (x, y, side, angle): its middle, from the upper left corner of the picture, and its side, in pixels,
# and the angle by which it is turned clockwise, radians. An offset is a row (right, down, growth, turn): by how many of
# its sides a frame is to move along its own axes, the logarithm of the factor by which it is to grow, and radians.


def moved(frames: Tensor, offsets: Tensor) -> Tensor:
    """Frames (B, 4) after their offsets (B, 4)."""
    x, y, side, angle = frames.unbind(-1)
    right, down, growth, turn = offsets.unbind(-1)
    c, s = torch.cos(angle), torch.sin(angle)
    across, along = side * (c * right - s * down), side * (s * right + c * down)
    return torch.stack([x + across, y + along, side * growth.exp(), angle + turn], -1)


def between(frames: Tensor, wanted: Tensor) -> Tensor:
    """The offsets (B, 4) that make frames (B, 4) those that are wanted: the inverse of `moved`."""
    x, y, side, angle = frames.unbind(-1)
    c, s = torch.cos(angle), torch.sin(angle)
    right, down = (wanted[..., 0] - x) / side, (wanted[..., 1] - y) / side
    return torch.stack(
        [c * right + s * down, c * down - s * right, (wanted[..., 2] / side).log(), wanted[..., 3] - angle], -1
    )


@register_arch("face_frame")
class FaceFrame(nn.Module):
    """A small network that looks at the middle of a frame and says how to move it, and how sure it is.

    Args:
        size: Height and width of what it sees, pixels; a multiple of 2^len(widths).
        seen: How much of a frame's side that is.
        widths: Channels after each halving.
        hidden: Of the layer before the last.
    """

    def __init__(
        self, size: int = 64, seen: float = 0.75, widths: Sequence[int] = (16, 32, 48, 64), hidden: int = 32
    ) -> None:
        super().__init__()
        self.size, self.seen = size, seen
        layers: list[nn.Module] = []
        for inside, outside in itertools.pairwise((4, *widths)):
            layers += [nn.Conv2d(inside, outside, 3, 2, 1, bias=False), nn.BatchNorm2d(outside), nn.LeakyReLU(0.2)]
        self.stages = nn.Sequential(*layers)
        last = widths[-1] * (size >> len(widths)) ** 2
        self.head = nn.Sequential(nn.Linear(last, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 8))

    def views(self, pictures: Tensor, frames: Tensor) -> Tensor:
        """What the network sees of frames.

        Args:
            pictures: (B, 4, H, W): colours in [0, 1], and 1 where they are known, 0 where not; or one for all frames.
            frames: (B, 4). Where `seen` of the side is much longer than `size` pixels, the picture is to be made
                smaller before.

        Returns:
            (B, 4, size, size); what lies beyond the picture is not known.
        """
        height, width = pictures.shape[-2:]
        x, y, side, angle = frames[:, :, None, None].unbind(1)  # (B, 1, 1) each
        axis = (torch.arange(self.size, device=frames.device) + 0.5) / self.size - 0.5
        right, down = self.seen * side * axis, self.seen * side * axis[:, None]
        c, s = torch.cos(angle), torch.sin(angle)
        across, along = x + c * right - s * down, y + s * right + c * down
        grid = torch.stack([2 * across / width - 1, 2 * along / height - 1], -1)
        if len(pictures) == 1:  # the views one below the other, as expanded it would be copied for each
            stacked = F.grid_sample(pictures, grid.flatten(0, 1)[None], align_corners=False)[0]
            views = stacked.unflatten(1, (len(frames), self.size)).transpose(0, 1)
        else:
            views = F.grid_sample(pictures, grid, align_corners=False)
        # a pixel that is partly missing counts as missing
        return torch.cat([views[:, :3], (views[:, 3:] > 0.99).to(views)], 1)

    def forward(self, views: Tensor) -> Tensor:
        """Offsets and how far they may be off, (B, 2, 4), of views (B, 4, size, size).

        The second row is the logarithm of the scale of a Laplace distribution about the first.
        """
        known = views[:, 3:]
        x = torch.cat([(views[:, :3] - 0.5) * known, known], 1)
        x = self.stages(x.contiguous(memory_format=torch.channels_last))
        return self.head(x.flatten(1)).float().unflatten(1, (2, 4))

    def moved(self, pictures: Tensor, frames: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
        """Look and move, so many times.

        Args:
            pictures, frames: As in `views`.
            rounds: At least 1.

        Returns:
            The frames then, and the second row of what the last look gave (B, 4).
        """
        for _ in range(rounds):
            offsets, spread = self(self.views(pictures, frames)).unbind(1)
            frames = moved(frames, offsets)
        return frames, spread

    def golden_input(self) -> Tensor:
        """A view from a formula, with a hole."""
        axis = torch.arange(self.size, dtype=torch.float64) / self.size
        waves = [torch.sin(2 * math.pi * (k * axis[:, None] + axis)) / 2 + 0.5 for k in (1, 2, 3)]
        known = ((axis[:, None] - 0.5) ** 2 + (axis - 0.5) ** 2 > 0.04).double()
        return torch.stack([*waves, known]).float()[None]
