"""A restoration as the user states it, and its way between the user's picture and the square that a prior knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .blend import feather, fill_seamlessly
from .degradation import Chain, Degradation, Downsample, Grey, Identity, Mask, fill
from .frame import Frame, cut
from .turned import covered, put_back

KINDS = ("inpaint", "colourise", "x2", "x4", "x8", "jpeg", "denoise")
MOST = 64  # largest factor of enlargement
BACK_PROJECTIONS = 2  # more of them make the grid of the small pixels show


@dataclass(frozen=True)
class Kinds:
    """What happened to a picture."""

    grey: bool = False
    factor: int = 1
    holes: bool = False
    soft: bool = False
    """Noise or JPEG: no pixel is to be trusted."""

    @property
    def keeps(self) -> bool:
        """Whether known pixels stay as they are."""
        return not (self.grey or self.soft or self.factor > 1)


def parse_kinds(names: str | Sequence[str]) -> Kinds:
    """From words such as "inpaint", or several of them: "colourise+x4", ["inpaint", "denoise"].

    Raises:
        ValueError: an unknown word, none, or two enlargements.
    """
    words = [word.strip().lower() for word in (names.split("+") if isinstance(names, str) else names)]
    factors = [int(match[1]) for word in words if (match := re.fullmatch(r"x(\d{1,3})", word))]
    unknown = [word for word in words if word not in KINDS and not re.fullmatch(r"x\d{1,3}", word)]
    if unknown or not words:
        raise ValueError(f"degradation: some of {', '.join(KINDS)}, joined by +, got {names!r}")
    if len(factors) > 1 or any(not 2 <= factor <= MOST for factor in factors):
        raise ValueError(f"degradation: one enlargement by 2 to {MOST}, got {names!r}")
    return Kinds(
        "colourise" in words, factors[0] if factors else 1, "inpaint" in words, {"jpeg", "denoise"} & {*words} != set()
    )


@dataclass(frozen=True)
class Problem:
    """Evidence, cut to what a prior works on."""

    kinds: Kinds
    picture: Tensor
    """The evidence, (C, h, w) in [0, 1]; one channel where colour is lost, else three."""
    known: Tensor
    """bool (h, w)."""
    frame: Frame
    """The part that the prior sees."""
    size: tuple[int, int]
    """Height and width at which it works, of the image, not of the evidence."""

    @property
    def evidence(self) -> Tensor:
        """y, (1, C, height / factor, width / factor)."""
        y, known = self._cut()
        return fill(y, known) if self.kinds.holes else y

    @property
    def degradation(self) -> Degradation:
        """From the image to the evidence, both as the prior sees them."""
        parts = self._operators()
        _, known = self._cut()
        if not known.all():
            parts.append(Mask(known))
        return Chain(parts or [Identity()])

    def _operators(self) -> list[Degradation]:
        """What happened at every pixel, whatever the size."""
        parts: list[Degradation] = [Grey()] if self.kinds.grey else []
        if self.kinds.factor > 1:
            parts.append(Downsample(self.kinds.factor))
        return parts

    def _cut(self) -> tuple[Tensor, Tensor]:
        """Evidence and mask (1, 1, ·, ·) at the prior's size. A pixel that is partly missing counts as missing."""
        size = (self.size[0] // self.kinds.factor, self.size[1] // self.kinds.factor)
        # what lies beyond the picture is not known
        here = self.known[None, None].float()
        seen = cut(torch.cat([self.picture[None] * here, here], 1), self.frame)
        if seen.shape[-2:] != size:
            seen = F.interpolate(seen, size=size, mode="bilinear", antialias=True, align_corners=False)
        share = seen[:, -1:]
        return seen[:, :-1] / share.clamp(min=1e-3), (share > 0.99).float()

    def compose(self, result: Tensor) -> Tensor:
        """Put the prior's image back.

        Where pixels are known and nothing else happened to them they stay as they are, to the bit, and holes are filled
        without a seam. A known grey value stays the mean of the channels, and an enlarged picture, made small again, is
        nearly the one that was given.

        Args:
            result: (3, *size) in [0, 1].

        Returns:
            (3, h · factor, w · factor).
        """
        factor = self.kinds.factor
        base = self.picture.expand(3, -1, -1)
        known = self.known
        if factor > 1:
            if not known.all():
                base = fill(base[None], known[None, None].to(base))[0]
            size = (base.shape[1] * factor, base.shape[2] * factor)
            base = F.interpolate(base[None], size=size, mode="bicubic", align_corners=False)[0].clamp(0, 1)
            known = known.repeat_interleave(factor, 0).repeat_interleave(factor, 1)
        pasted, weight = self._paste(result, base)
        if self.kinds.keeps:
            trusted = base
        else:
            if self.kinds.grey and factor == 1 and not self.kinds.soft:
                pasted = torch.where(known, pasted + self.picture - pasted.mean(0), pasted).clamp(0, 1)
            trusted = torch.lerp(base, pasted, weight)
            if factor > 1 and not self.kinds.soft:
                trusted = self._explaining(trusted)
        if not self.kinds.holes or known.all():
            return trusted
        beyond = fill(trusted[None], known[None, None].to(trusted))[0]
        return fill_seamlessly(trusted, torch.lerp(beyond, pasted, (weight > 0).float()), known)

    def _explaining(self, image: Tensor) -> Tensor:
        """An image that, made smaller, is the evidence again: iterative back-projection (Irani & Peleg 1991).

        Args:
            image: (3, h · factor, w · factor).
        """
        degraded = Chain(self._operators())
        for _ in range(BACK_PROJECTIONS):
            rest = (self.picture - degraded.forward(image[None])[0]) * self.known
            image = image + F.interpolate(rest[None], size=image.shape[-2:], mode="bicubic", align_corners=False)[0]
        return image.clamp(0, 1)

    def _paste(self, result: Tensor, base: Tensor) -> tuple[Tensor, Tensor]:
        """The result in its place, and weights (h, w) that fall off towards the sides that are inside the picture."""
        factor = self.kinds.factor
        left, top, width, height = (value * factor for value in self.frame.box)
        rows, columns = base.shape[-2:]
        if result.shape[-2:] != (height, width):
            smaller = height < result.shape[-2]
            result = F.interpolate(
                result[None], size=(height, width), mode="bicubic", antialias=smaller, align_corners=False
            )[0].clamp(0, 1)
        if self.frame.angle:
            box, weight = (left, top, width, height), feather(height, width, (True,) * 4)
            put = put_back(torch.cat([result, weight[None]])[None], box, self.frame.angle, (rows, columns))[0]
            inside = covered(box, self.frame.angle, (rows, columns), inset=0.5)
            return torch.where(inside, put[:3], base), torch.where(inside, put[3], 0.0)
        sides = (top > 0, top + height < rows, left > 0, left + width < columns)
        weight = feather(height, width, sides)
        t, b, l, r = max(0, top), min(rows, top + height), max(0, left), min(columns, left + width)  # noqa: E741
        pasted, weights = base.clone(), base.new_zeros(rows, columns)
        pasted[:, t:b, l:r] = result[:, t - top : b - top, l - left : r - left]
        weights[t:b, l:r] = weight[t - top : b - top, l - left : r - left]
        return pasted, weights
