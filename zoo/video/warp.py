"""Pictures moved along optical flow, and where that cannot be trusted (Ruder, Dosovitskiy & Brox 2016).

A flow (B, 2, H, W) holds pixels to the right, then down. That from this frame to the last one says where each pixel of
this frame was: it brings the last result here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """out(p) = picture(p + flow(p)), bilinear; beyond the border the border is repeated.

    Args:
        picture: (B, C, H, W), floating point.
        flow: (B or 1, 2, H, W).

    Returns:
        (B, C, H, W). Differentiable in both.

    Raises:
        ValueError: shapes that are not as stated.
    """
    _check_flow("flow", flow)
    if picture.ndim != 4 or picture.shape[2:] != flow.shape[2:] or len(flow) not in (1, len(picture)):
        raise ValueError(f"picture: expected (B, C, H, W) for a flow {tuple(flow.shape)}, got {tuple(picture.shape)}")
    height, width = picture.shape[2:]
    flow = flow.to(picture).expand(len(picture), -1, -1, -1)
    across = torch.arange(width, device=picture.device, dtype=picture.dtype) + flow[:, 0]
    down = torch.arange(height, device=picture.device, dtype=picture.dtype)[:, None] + flow[:, 1]
    # grid_sample counts from -1 to 1 between the outer edges of the border pixels
    grid = torch.stack(((2 * across + 1) / width - 1, (2 * down + 1) / height - 1), -1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def occluded(flow: Tensor, back: Tensor) -> Tensor:
    """Where this frame shows what the other one hides: flows there and back that do not cancel.

    |w̃ + ŵ|² > 0.01 (|w̃|² + |ŵ|²) + 0.5, with ŵ the flow from this frame and w̃ the other one's at its end (Ruder et
    al.); also what lies outside the other frame.

    Args:
        flow: ŵ, from this frame to the other, (B, 2, H, W).
        back: From the other frame to this one, same shape.

    Returns:
        (B, 1, H, W) bool, on this frame.

    Raises:
        ValueError: shapes that are not as stated.
    """
    _check_flow("flow", flow)
    if back.shape != flow.shape:
        raise ValueError(f"back: expected the shape of flow, {tuple(flow.shape)}, got {tuple(back.shape)}")
    height, width = flow.shape[2:]
    met = warp(back, flow)
    apart = (met + flow).square().sum(1, keepdim=True)
    size = met.square().sum(1, keepdim=True) + flow.square().sum(1, keepdim=True)
    across = torch.arange(width, device=flow.device) + flow[:, :1]
    down = torch.arange(height, device=flow.device)[:, None] + flow[:, 1:]
    # half a pixel beyond the outermost centres still belongs to the frame
    outside = (across < -0.5) | (across > width - 0.5) | (down < -0.5) | (down > height - 0.5)
    return (apart > 0.01 * size + 0.5) | outside


def motion_boundary(flow: Tensor) -> Tensor:
    """Where the motion changes abruptly, so that flow is vague: |∇û|² + |∇v̂|² > 0.01 |ŵ|² + 0.002 (Ruder et al.).

    Central differences; the border is repeated.

    Args:
        flow: ŵ, (B, 2, H, W).

    Returns:
        (B, 1, H, W) bool.

    Raises:
        ValueError: another shape.
    """
    _check_flow("flow", flow)
    wide = F.pad(flow, (1, 1, 1, 1), mode="replicate")
    across = (wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]) / 2
    down = (wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]) / 2
    steep = (across.square() + down.square()).sum(1, keepdim=True)
    return steep > 0.01 * flow.square().sum(1, keepdim=True) + 0.002


def trusted(flow: Tensor, back: Tensor) -> Tensor:
    """M of the temporal prox: 1 where the other frame may be taken over, 0 at occlusions and motion boundaries.

    Args:
        flow: From this frame to the other, (B, 2, H, W).
        back: From the other frame to this one, same shape.

    Returns:
        (B, 1, H, W), of the type of `flow`.

    Raises:
        ValueError: shapes that are not as stated.
    """
    return (~(occluded(flow, back) | motion_boundary(flow))).to(flow.dtype)


def _check_flow(name: str, flow: Tensor) -> None:
    if flow.ndim != 4 or flow.shape[1] != 2 or flow.numel() == 0:
        raise ValueError(f"{name}: expected (B, 2, H, W), got {tuple(flow.shape)}")
