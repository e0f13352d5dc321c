"""Optical flow by RAFT (Teed & Deng 2020) as torchvision has it, where its weights are on this machine already."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from .flow import dis_flow

FILES = {
    "raft_large": "raft_large_C_T_SKHT_V2-ff5fadd5.pth",
    "raft_small": "raft_small_C_T_V2-01064c6d.pth",
}
"""torchvision's model -> the file that it publishes; the last part of the name begins the sha256."""
FLOWS = ("auto", "dis", "raft")
MULTIPLE, LEAST = 8, 128
"""RAFT takes sides of multiples of 8, from 128 on."""

Flow = Callable[[Tensor, Tensor], Tensor]
"""Two pictures (B, 3, H, W) in [0, 1] -> the motion from the first to the second, (B, 2, H, W)."""


def raft_file() -> tuple[str, Path] | None:
    """torchvision's name and file of the best RAFT that is here; None for none. Never goes to the network.

    Looked for in `$NEURAL_SOLVER_ZOO_CACHE` and where `torch.hub` keeps its files.
    """
    folders = [Path(torch.hub.get_dir()) / "checkpoints"]
    if own := os.environ.get("NEURAL_SOLVER_ZOO_CACHE"):
        folders.insert(0, Path(own))
    for name, file in FILES.items():
        for folder in folders:
            if (folder / file).is_file():
                return name, folder / file
    return None


def raft_flow(first: Tensor, second: Tensor) -> Tensor:
    """The motion from the first picture to the second, as `zoo.video.dis_flow`.

    Raises:
        FileNotFoundError: no weights on this machine.
        ImportError: torchvision is not installed.
        ValueError: shapes that are not as stated or differ; a file that is not what its name says.
    """
    if first.ndim != 4 or first.shape[1] != 3 or first.shape != second.shape or first.numel() == 0:
        raise ValueError(f"first, second: (B, 3, H, W), got {tuple(first.shape)} and {tuple(second.shape)}")
    found = raft_file()
    if found is None:
        names, folder = " or ".join(FILES.values()), Path(torch.hub.get_dir()) / "checkpoints"
        raise FileNotFoundError(f"flow: raft needs {names} in {folder}; dis needs no weights")
    network = _loaded(*found).to(first.device)
    height, width = first.shape[2:]
    sides = [max(LEAST, -(-side // MULTIPLE) * MULTIPLE) for side in (height, width)]
    edge = (0, sides[1] - width, 0, sides[0] - height)
    wide = [pad(one.float().clamp(0, 1), edge, mode="replicate") * 2 - 1 for one in (first, second)]
    with torch.no_grad():
        return network(*wide)[-1][..., :height, :width].contiguous()


def flow_by(name: str = "auto") -> tuple[str, Flow]:
    """What finds the motion, and its name.

    Args:
        name: "dis", "raft", or "auto", which is RAFT where its weights are, else DIS.

    Raises:
        FileNotFoundError: "raft" without weights.
        ValueError: another name.
    """
    if name not in FLOWS:
        raise ValueError(f"flow: one of {', '.join(FLOWS)}, got {name!r}")
    here = raft_file() is not None
    if name == "raft" and not here:
        raft_flow(torch.zeros(1, 3, LEAST, LEAST), torch.zeros(1, 3, LEAST, LEAST))
    return ("raft", raft_flow) if here and name != "dis" else ("dis", dis_flow)


@lru_cache(maxsize=1)
def _loaded(name: str, path: Path) -> nn.Module:
    try:
        from torchvision.models import optical_flow
    except ImportError as error:
        raise ImportError("flow: raft needs torchvision; dis needs OpenCV only") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(path.stem.rsplit("-", 1)[-1]):
        raise ValueError(f"{path}: damaged, its sha256 is {digest}; delete it, or use dis")
    network: Any = getattr(optical_flow, name)(weights=None, progress=False)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False)
