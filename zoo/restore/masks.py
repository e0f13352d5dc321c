"""Masks of holes: those of the paper's tasks, and random ones to train on. True (or 1) is missing."""

from __future__ import annotations

import torch
from torch import Tensor

PRESETS = ("centre", "half", "random95")


def preset(name: str, height: int, width: int, seed: int = 0) -> Tensor:
    """The hole of one of the paper's tasks.

    Args:
        name: "centre": a square of 50/128 of the sides; "half": the right half; "random95": 95 % of the pixels.
        height, width: Of the picture.
        seed: For "random95".

    Returns:
        bool (height, width), True where the pixel is missing.

    Raises:
        ValueError: an unknown name.
    """
    hole = torch.zeros(height, width, dtype=torch.bool)
    if name == "centre":
        h, w = max(1, round(height * 50 / 128)), max(1, round(width * 50 / 128))
        top, left = (height - h) // 2, (width - w) // 2
        hole[top : top + h, left : left + w] = True
    elif name == "half":
        hole[:, width // 2 :] = True
    elif name == "random95":
        order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))
        hole.view(-1)[order[: round(0.95 * height * width)]] = True
    else:
        raise ValueError(f"mask: one of {', '.join(PRESETS)}, got {name!r}")
    return hole


def random_mask(side: int, generator: torch.Generator) -> Tensor:
    """A hole of a random kind, bool (side, side): a rectangle, half the picture, single pixels, or brush strokes.

    Args:
        side: Height and width.
        generator: On the CPU.
    """

    def draw() -> float:
        return float(torch.rand((), generator=generator))

    hole = torch.zeros(side, side, dtype=torch.bool)
    kind = int(torch.randint(4, (), generator=generator))
    if kind == 0:
        h, w = (max(1, int(side * (0.15 + 0.45 * draw()))) for _ in range(2))
        top, left = int(draw() * (side - h)), int(draw() * (side - w))
        hole[top : top + h, left : left + w] = True
    elif kind == 1:
        hole[:, : side // 2] = True
        hole = hole.rot90(int(4 * draw()))
    elif kind == 2:
        hole = torch.rand(side, side, generator=generator) < 0.5 + 0.47 * draw()
        hole[0, 0] = False
    else:
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        for _ in range(1 + int(3 * draw())):
            (ay, ax, by, bx), radius = (
                (side * torch.rand(4, generator=generator)).tolist(),
                side * (0.03 + 0.07 * draw()),
            )
            along = max((by - ay) ** 2 + (bx - ax) ** 2, 1e-6)
            t = (((y - ay) * (by - ay) + (x - ax) * (bx - ax)) / along).clamp(0, 1)
            hole |= (y - ay - t * (by - ay)) ** 2 + (x - ax - t * (bx - ax)) ** 2 < radius**2
    if hole.all():
        hole[0, 0] = False
    return hole
