"""Texture super-resolution on crops of textures that nothing was trained on: PSNR and SNR of the Gram matrices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..datasets import ImageFiles
from ..superres.ranking import BICUBIC, choose, takes_reference
from ..superres.shrink import shrink
from ..tasks.superres import texture_super_resolve
from .textures import held_out_textures

SIDE = 96
"""Height and width of a crop, pixels; less where half of the texture is smaller."""
REFERENCES = ("half", "kind")


@dataclass(frozen=True)
class Crop:
    """A part of a texture, made small, and what may guide its way back."""

    name: str
    low: np.ndarray
    """uint8 (s, s, 3), the truth after the degradation."""
    truth: np.ndarray
    """uint8 (side, side, 3)."""
    reference: np.ndarray
    """uint8 (h, w, 3); shares no pixel with the truth."""


@dataclass(frozen=True)
class Method:
    """One column of a comparison."""

    name: str
    model: str
    guided: bool


@dataclass(frozen=True)
class SuperResolveScore:
    """One crop enlarged by one method."""

    method: str
    crop: str
    psnr: float
    """Of the luminance on 8 bits, dB."""
    gram_snr: float
    """dB; see `zoo.superres.pictures.gram_snr`."""
    residual: float
    """Root mean square of D X − X_low, 0..255."""
    seconds: float
    image: np.ndarray
    """uint8 (side, side, 3)."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without the picture."""
        return {key: value for key, value in asdict(self).items() if key != "image"}


def texture_crops(
    data: str | Path,
    scale: int = 3,
    *,
    side: int = SIDE,
    seed: int = 0,
    kind: str = "gaussian",
    reference: str = "half",
    limit: int | None = None,
) -> Iterator[Crop]:
    """A crop of each texture that is held out from training.

    A texture is cut into two halves across its longer side. The seed says which of them has the crop, and where.

    Args:
        data: Folder, .zip or .tar of textures; those of `zoo.evaluation.textures` are taken, 40 of them.
        scale: 2, 3 or 4.
        side: Height and width of a crop, cut down to a multiple of the scale.
        seed: Of the places; texture i of the list gets seed and i.
        kind: What makes it small, "gaussian" or "bicubic".
        reference: "half": the other half of the texture; "kind": the half, on the same side, of the next held-out
            texture of the same folder, another picture.
        limit: Only the first so many.

    Raises:
        ValueError: no textures, or too small ones; an unknown reference.
    """
    if reference not in REFERENCES:
        raise ValueError(f"reference: one of {REFERENCES}, got {reference!r}")
    files = ImageFiles(data)
    names = held_out_textures(files.images())
    if not names:
        raise ValueError(f"data {str(data)!r}: fewer than 2 pictures")
    for number, name in enumerate(names[:limit]):
        generator = np.random.default_rng((seed, number))
        first, second = _halves(files.decode(name))
        swap = bool(generator.integers(2))
        part, other = (second, first) if swap else (first, second)
        size = min(side, *part.shape[:2]) // scale * scale
        if size < 16:
            raise ValueError(f"data {str(data)!r}: {name} is too small, its half must have 16 pixels either way")
        top, left = (int(generator.integers(length - size + 1)) for length in part.shape[:2])
        low, truth = shrink(part[top : top + size, left : left + size], scale, kind)
        if reference == "kind":
            other = _halves(files.decode(_next_of_kind(names, number)))[0]
        yield Crop(name, low, truth, other)


def methods(model: str) -> list[Method]:
    """Bicubic interpolation, and a model; one that takes a reference without and with it.

    Raises:
        ValueError: unknown, or for another task.
    """
    found = [Method(BICUBIC, BICUBIC, False)]
    if model == BICUBIC:
        return found
    name = choose(model).name
    if not takes_reference(name):
        return [*found, Method(name, name, False)]
    return [*found, Method(f"{name} unguided", name, False), Method(f"{name} guided", name, True)]


def evaluate_superres(
    crops: Iterable[Crop], columns: Iterable[Method], scale: int = 3, **options: Any
) -> Iterator[SuperResolveScore]:
    """Enlarge crops by several methods, each crop by all of them in turn.

    Args:
        crops: As of `texture_crops`, for the same scale.
        columns: The methods.
        scale: 2, 3 or 4.
        options: `steps`, `lam`, `intensity` and `device` of `zoo.tasks.texture_super_resolve`, where a method iterates.

    Raises:
        ValueError: a method that cannot do it.
    """
    chosen = list(columns)
    for crop in crops:
        for method in chosen:
            image, info = texture_super_resolve(
                crop.low,
                crop.reference if method.guided else None,
                scale,
                model=method.model,
                truth=crop.truth,
                return_info=True,
                **(options if takes_reference(method.model) else {}),
            )
            yield SuperResolveScore(
                method.name, crop.name, info.psnr, info.gram_snr, info.residual, info.seconds, image
            )


def summarise(scores: Iterable[SuperResolveScore]) -> list[dict[str, Any]]:
    """Means of each method, in the order in which they first appear.

    Returns:
        One record for each: `method`, `crops`, mean `psnr`, `gram_snr` and `residual`, and the median of `seconds`.
    """
    groups: dict[str, list[SuperResolveScore]] = {}
    for score in scores:
        groups.setdefault(score.method, []).append(score)
    return [
        {
            "method": name,
            "crops": len(group),
            **{key: float(np.mean([getattr(one, key) for one in group])) for key in ("psnr", "gram_snr", "residual")},
            "seconds": float(np.median([one.seconds for one in group])),
        }
        for name, group in groups.items()
    ]


def _halves(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    axis = 0 if pixels.shape[0] > pixels.shape[1] else 1
    middle = pixels.shape[axis] // 2
    first, second = np.split(pixels, [middle], axis)
    return first, second


def _next_of_kind(names: list[str], number: int) -> str:
    kin = [name for name in names if Path(name).parent == Path(names[number]).parent]
    return kin[(kin.index(names[number]) + 1) % len(kin)]
