"""Photo style transfer by several methods: the loss that each reaches, how much of the edges it keeps, its time."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..datasets import ImageFiles
from ..images import to_picture
from ..stylize import ranking
from ..tasks.photo_stylize import photo_stylize

METHODS = ("plain", "solver", "luan", "smooth", "photowct")
"""The optimisation without photorealism; a solver or network with the proximal operator; the optimisation with the
matting term; the optimisation, smoothed afterwards; a whitening network, smoothed afterwards."""
PHOTOWCT = "wct.tiny_imagenet"
FOLDERS = ("content", "style", "content_mask", "style_mask")


@dataclass(frozen=True)
class PhotoPair:
    """Two photographs, with segmentation maps or without."""

    name: str
    content: Image.Image
    style: Image.Image
    content_mask: Image.Image | None
    style_mask: Image.Image | None


@dataclass(frozen=True)
class PhotoScore:
    """One method on one pair."""

    method: str
    engine: str
    pair: str
    l_tv: float | None
    left: float | None
    """`l_tv` as a share of that of the content as it is."""
    edge_ssim: float | None
    seconds: float
    image: Tensor
    """(1, 3, H, W) in [0, 1]."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without the picture."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "image"}


def photo_pairs(data: str | Path, limit: int | None = None, masks: bool = True) -> Iterator[PhotoPair]:
    """Pairs of photographs: files of the same names in `content/` and `style/`, and in `*_mask/` if there are any.

    Args:
        data: Folder, .zip or .tar.
        limit: Only so many, evenly spread over all.
        masks: Whether to read the maps.

    Raises:
        ValueError: no pairs.
    """
    files = ImageFiles(data)
    found: dict[str, dict[str, str]] = {}
    for name in files.images():
        folder, stem = Path(name).parent.name, Path(name).stem
        if folder in FOLDERS:
            found.setdefault(stem, {})[folder] = name
    whole = [(stem, parts) for stem, parts in sorted(found.items()) if {"content", "style"} <= set(parts)]
    if not whole:
        raise ValueError(f"data {str(data)!r}: no pairs, files of the same name in content/ and style/")
    if limit is not None and limit < len(whole):
        whole = [whole[index * len(whole) // limit] for index in range(limit)]

    def read(name: str | None) -> Image.Image | None:
        return None if name is None else Image.open(io.BytesIO(files.read(name))).convert("RGB")

    for stem, parts in whole:
        content, style = read(parts["content"]), read(parts["style"])
        assert content is not None and style is not None
        maps = [read(parts.get(key)) if masks else None for key in FOLDERS[2:]]
        if None in maps:
            maps = [None, None]
        yield PhotoPair(stem, content, style, *maps)


def solver_at_hand() -> str | None:
    """The best installed engine that applies the proximal operator after each update, else the best that does once."""
    entries = [entry for entry in ranking.installed() if entry.arch not in ("gatys", "johnson")]
    entries.sort(key=lambda entry: entry.arch != "flexible_solver")
    return entries[0].name if entries else None


def evaluate_photo(
    pairs: Iterable[PhotoPair],
    methods: Sequence[str] = METHODS,
    *,
    model: str | None = None,
    lam: float = 50.0,
    size: int = 192,
    steps: int | None = None,
    device: str = "cpu",
) -> Iterator[PhotoScore]:
    """Run methods on pairs, each pair through all of them in turn.

    Args:
        pairs: Of `photo_pairs`.
        methods: Of `METHODS`.
        model: The engine of "solver"; None: `solver_at_hand`. A method whose engine is not installed is left out.
        lam: λ_L.
        size: Longer side.
        steps: Iterations of the optimisation; None: its own.
        device: Where to compute.

    Raises:
        ValueError: an unknown method.
    """
    if unknown := sorted(set(methods) - set(METHODS)):
        raise ValueError(f"methods: of {', '.join(METHODS)}, got {', '.join(unknown)}")
    solver = model if model is not None else solver_at_hand()
    whitening = ranking.first_at_hand([PHOTOWCT], ranking.TASK)
    for pair in pairs:
        for method in methods:
            options: dict[str, Any] = {"model": ranking.REFERENCE, "steps": steps, "method": "luan", "lam": lam}
            if method == "plain":
                options["lam"] = 0.0
            elif method == "smooth":
                options["method"] = "smooth"
            elif method == "solver":
                options = {"model": solver, "method": "prox", "lam": lam}
            elif method == "photowct":
                options = {"model": whitening, "method": "smooth", "lam": lam}
            if options["model"] is None:
                continue
            result, info = photo_stylize(
                pair.content,
                pair.style,
                pair.content_mask,
                pair.style_mask,
                size=size,
                device=device,
                return_info=True,
                **options,
            )
            loss, before = info.loss, info.loss_before
            reached = None if loss is None else loss.total
            share = None if loss is None or before is None else loss.total / max(before.total, 1e-12)
            yield PhotoScore(
                method,
                info.engine,
                pair.name,
                reached,
                share,
                info.edge_ssim,
                info.seconds,
                to_picture(result).tensor,
            )


def summarise_photo(scores: Iterable[PhotoScore]) -> list[dict[str, Any]]:
    """Medians for each method: `method`, `engine`, `pairs`, `l_tv`, `left`, `edge_ssim`, `seconds`."""
    groups: dict[str, list[PhotoScore]] = {}
    for one in scores:
        groups.setdefault(one.method, []).append(one)
    records = []
    for method, group in groups.items():
        record: dict[str, Any] = {"method": method, "engine": group[0].engine, "pairs": len(group)}
        for key in ("l_tv", "left", "edge_ssim", "seconds"):
            values = [value for one in group if (value := getattr(one, key)) is not None]
            record[key] = float(np.median(values)) if values else None
        records.append(record)
    return records
