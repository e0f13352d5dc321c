"""SRCNN (Dong et al., Image super-resolution using deep convolutional networks, TPAMI 2016), on luminance."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import register_arch


@register_arch("srcnn")
class SRCNN(nn.Module):
    """Patch extraction, non-linear mapping, reconstruction (equations 1 to 3), on a picture that has its final size.

    Args:
        factor: The upscaling that it was trained for; what it computes does not depend on it.
        degradation: How the small pictures were made that it was trained on, "bicubic" or "gaussian".
        sizes: f1, f2, f3 of the filters, odd.
        widths: n1, n2 of the maps.

    Raises:
        ValueError: an even size, or another number of them.
    """

    def __init__(
        self,
        factor: int = 3,
        degradation: str = "bicubic",
        sizes: tuple[int, int, int] = (9, 5, 5),
        widths: tuple[int, int] = (64, 32),
    ) -> None:
        super().__init__()
        if len(sizes) != 3 or len(widths) != 2 or any(size % 2 == 0 for size in sizes):
            raise ValueError(f"sizes, widths: three odd numbers and two numbers, got {sizes} and {widths}")
        self.factor = factor
        self.degradation = degradation
        self.reach = sum(size // 2 for size in sizes)
        """A pixel of the result depends on those up to so many pixels away."""
        inputs, outputs = [1, *widths], [*widths, 1]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, size) for i, o, size in zip(inputs, outputs, sizes, strict=True))
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        last = self.convs[-1]
        assert isinstance(last, nn.Conv2d)
        with torch.no_grad():  # the result starts near grey
            last.weight.mul_(0.1)

    def forward(self, luminance: Tensor) -> Tensor:
        """Sharpen (B, 1, H, W) in [0, 1], the small picture enlarged by bicubic interpolation; of the same size.

        Beyond the border the picture is taken as its last row or column repeated. Not clipped.

        Raises:
            ValueError: another shape.
        """
        if luminance.ndim != 4 or luminance.shape[1] != 1:
            raise ValueError(f"luminance: expected (B, 1, H, W), got {tuple(luminance.shape)}")
        x = F.pad(luminance - 0.5, [self.reach] * 4, mode="replicate")
        for number, conv in enumerate(self.convs):
            x = conv(F.relu(x) if number else x)
        return x + 0.5

    def golden_input(self) -> Tensor:
        """A grey picture from a formula."""
        axis = torch.arange(48) / 48
        return (0.5 + 0.4 * torch.sin(9 * axis[:, None] + 30 * axis * axis))[None, None]
