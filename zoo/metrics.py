"""Picture quality, as the denoising literature measures it: on 8-bit values."""

from __future__ import annotations

import torch
from torch import Tensor


def to_8bit(image: Tensor) -> Tensor:
    """Pixels in [0, 1] rounded and clipped to whole numbers 0..255, as float64."""
    return image.detach().double().clamp(0, 1).mul(255).round()


def _pair(image: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    if image.shape != reference.shape:
        raise ValueError(
            f"reference: must have the shape of the image, {tuple(image.shape)}, not {tuple(reference.shape)}"
        )
    if image.ndim != 4:
        raise ValueError(f"image: expected (B, C, H, W), got {tuple(image.shape)}")
    return to_8bit(image), to_8bit(reference)


def psnr(image: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, over all channels together.

    Args:
        image: (B, C, H, W) in [0, 1].
        reference: The same shape.

    Returns:
        (B,), float64; infinite where the two are equal.

    Raises:
        ValueError: shapes differ or are not 4-D.
    """
    from torchmetrics.functional.image import peak_signal_noise_ratio

    first, second = _pair(image, reference)
    return peak_signal_noise_ratio(first, second, data_range=255.0, reduction="none", dim=(1, 2, 3))


def ssim(image: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity with the usual 11-pixel Gaussian window, mean over channels.

    Args:
        image: (B, C, H, W) in [0, 1], H and W at least 11.
        reference: The same shape.

    Returns:
        (B,), float64, at most 1; to 1e-4.

    Raises:
        ValueError: shapes differ, are not 4-D or smaller than the window.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    first, second = _pair(image, reference)
    if min(first.shape[-2:]) < 11:
        raise ValueError(f"image: height and width must be at least 11, got {tuple(first.shape[-2:])}")
    # float32 is ten times faster; its rounding is worth 1e-4 at the most, in flat white regions
    result = structural_similarity_index_measure(first.float(), second.float(), data_range=255.0, reduction="none")
    assert isinstance(result, Tensor)
    return torch.atleast_1d(result).double()


def edges(image: Tensor) -> Tensor:
    """Strength of the edges: the length of Sobel's gradient of the luminance.

    Args:
        image: (B, 3, H, W) in [0, 1].

    Returns:
        (B, 1, H, W); 1 at a step from black to white along an axis. The border is repeated.
    """
    grey = (image * image.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    across = image.new_tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
    kernels = torch.stack((across, across.T))[:, None]
    wide = torch.nn.functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    return torch.nn.functional.conv2d(wide, kernels).square().sum(1, keepdim=True).sqrt()


def edge_ssim(image: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity of the `edges` of two pictures: whether lines are where they were, whatever the colours.

    Args:
        image: (B, 3, H, W) in [0, 1], H and W at least 11.
        reference: The same shape.

    Returns:
        (B,), float64, at most 1.

    Raises:
        ValueError: as `ssim`.
    """
    if image.shape != reference.shape or image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"image, reference: (B, 3, H, W), got {tuple(image.shape)} and {tuple(reference.shape)}")
    return ssim(edges(image.float()), edges(reference.float()))
