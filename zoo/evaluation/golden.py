"""Golden outputs: a few numbers of what a model makes of a fixed picture, so that a change in either is noticed."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


def golden_picture(size: int = 48) -> Tensor:
    """A colour picture (1, 3, size, size) in [0, 1] from a formula: shading, waves and edges, no random numbers."""
    axis = torch.arange(size, dtype=torch.float64) / size
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    waves = torch.stack([torch.sin(2 * math.pi * (3 * x + k * y) + k) for k in range(3)])
    disc = ((x - 0.6) ** 2 + (y - 0.4) ** 2 < 0.05).double()
    grain = torch.sin(1e4 * (x * 7 + y * 13) + 1e3 * x * y)
    return (0.5 + 0.2 * waves + 0.2 * disc + 0.06 * grain).clamp(0, 1).float()[None]


@torch.no_grad()
def golden(module: nn.Module) -> dict[str, Any]:
    """Shape, mean, root mean square and nine values of each output for the golden picture (or the model's own input).

    A model that does not take a picture alone says what it takes by a method `golden_input()`: one value, or a tuple.
    """
    source = getattr(module, "golden_input", golden_picture)()
    output = module(*source) if isinstance(source, tuple) else module(source)
    outputs = output if isinstance(output, dict) else {"output": output}
    return {name: _digest(value.double()) for name, value in outputs.items()}


def _digest(value: Tensor) -> dict[str, Any]:
    flat = value.flatten()
    places = torch.linspace(0, len(flat) - 1, 9).round().long()
    return {
        "shape": list(value.shape),
        "mean": float(flat.mean()),
        "rms": float(flat.square().mean().sqrt()),
        "values": flat[places].tolist(),
    }


def differences(found: dict[str, Any], expected: dict[str, Any], tolerance: float = 2e-3) -> list[str]:
    """Where two golden records differ by more than `tolerance` times the output's root mean square; empty: nowhere."""
    problems = []
    if found.keys() != expected.keys():
        return [f"outputs {sorted(found)}, expected {sorted(expected)}"]
    for name, want in expected.items():
        have = found[name]
        if have["shape"] != want["shape"]:
            problems.append(f"{name}: shape {have['shape']}, expected {want['shape']}")
            continue
        limit = tolerance * max(want["rms"], 1e-6)
        pairs = zip(
            [have["mean"], have["rms"], *have["values"]], [want["mean"], want["rms"], *want["values"]], strict=True
        )
        worst = max(abs(a - b) for a, b in pairs)
        if not worst <= limit:
            problems.append(f"{name}: differs by {worst:.3g}, allowed is {limit:.3g}")
    return problems
