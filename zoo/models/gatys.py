"""Style transfer without a network of its own (Gatys et al., Image style transfer using CNNs, CVPR 2016)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from ..registry import register_arch
from ..style.gatys import GatysStep, Penalty, gatys_steps
from ..style.loss import Grams, style_targets
from ..style.regional import Area
from .vgg import VGGEncoder


@register_arch("gatys")
class Gatys(nn.Module):
    """The pixels that minimise the style loss, by L-BFGS; see `zoo.style`. The encoder is an entry of the registry.

    Args:
        encoder: Registry name of the perceptual encoder, loaded when it is first needed.
        iterations: Of L-BFGS, unless told otherwise.

    Raises:
        ValueError: no iterations.
    """

    def __init__(self, encoder: str = "vgg19_half.tiny_imagenet", iterations: int = 100) -> None:
        super().__init__()
        if iterations < 1:
            raise ValueError(f"iterations: at least 1, got {iterations}")
        self.encoder = encoder
        self.iterations = iterations

    def perceptual(self, like: Tensor) -> VGGEncoder:
        """The encoder, frozen, where `like` is."""
        from ..loading import load

        encoder = load(self.encoder, device=like.device)
        assert isinstance(encoder, VGGEncoder)
        return encoder.requires_grad_(False)

    def iterate(
        self,
        content: Tensor,
        grams: Grams | Sequence[Area],
        betas: Sequence[float] | None = None,
        iterations: int | None = None,
        encoder: VGGEncoder | None = None,
        start: Tensor | None = None,
        penalty: Penalty | None = None,
    ) -> Iterator[GatysStep]:
        """The states of the optimisation, as `zoo.style.gatys.gatys_steps`, in bfloat16 where the device has it.

        Args:
            content: (1, 3, H, W) in [0, 1], sides of at least 16 pixels.
            grams: Gram matrices of the style by the same encoder, or a style for each area.
            betas: β_l ≥ 0 of the five levels; None: 1. All times one number weighs the style against the content.
            iterations: None: the module's own.
            encoder: The encoder itself; None: loaded.
            start, penalty: as in `gatys_steps`.
        """
        encoder = self.perceptual(content) if encoder is None else encoder
        count = self.iterations if iterations is None else iterations
        return gatys_steps(
            encoder, content, grams, iterations=count, betas=betas, start=start, penalty=penalty, half=True
        )

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """The content (1, 3, H, W) in the style of a picture (1, 3, h, w), both in [0, 1]; the result as well."""
        encoder = self.perceptual(content)
        with torch.no_grad():
            grams = style_targets(encoder, style)
        *_, last = self.iterate(content, grams, encoder=encoder)
        return last.image
