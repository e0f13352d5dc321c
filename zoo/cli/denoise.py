"""`zoo denoise`: files in, files out, around `zoo.tasks.denoise`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from PIL import Image

from .. import images, noise
from ..tasks.denoise import denoise_steps
from .files import pairs


def run(
    inputs: list[Path],
    output: Path | None,
    model: str,
    lam: float | None,
    sigma: float | None,
    add_noise: float | None,
    seed: int,
    reference: Path | None,
) -> list[dict[str, Any]]:
    """Denoise files. Says on stderr where a network meets noise that it was not trained for.

    Args:
        inputs: Picture files, or one folder.
        output: File for one picture, else a folder; None: next to each input, with `_denoised` in the name.
        model, lam, sigma: as in `zoo.tasks.denoise`.
        add_noise: Noise to add first, 0..255 scale; the input is then the reference. None: none.
        seed: Seed of that noise; picture i gets seed + i.
        reference: Clean picture to measure one input against.

    Returns:
        One JSON-able record for each picture: input, output and the fields of `DenoiseInfo`.

    Raises:
        ValueError: nothing to do, or an output that would overwrite an input.
        OSError: a file cannot be read or written.
    """
    if add_noise is not None and reference is not None:
        raise ValueError("--add-noise, --reference: give one; with added noise the input is the reference")
    files = pairs(inputs, output, "_denoised")
    if reference is not None and len(files) > 1:
        raise ValueError(f"--reference: goes with one picture, there are {len(files)}")
    records = []
    for index, (source, target) in enumerate(files):
        picture = images.read_image(source)
        clean = None if reference is None else images.read_image(reference)
        if add_noise is not None:
            clean, picture = picture, noise.add_noise(picture, add_noise, seed + index)
        result, record = _one(source, picture, clean, model, lam, sigma)
        images.write_png(target, result)
        if record["warning"]:
            print(f"{source.name}, {record['model']}: {record['warning']}", file=sys.stderr)
        records.append({"input": str(source), "output": str(target), **record})
    return records


def _one(
    source: Path, picture: Image.Image, clean: Any, model: str, lam: float | None, sigma: float | None
) -> tuple[Image.Image, dict[str, Any]]:
    live = sys.stderr.isatty()
    for step in denoise_steps(picture, model, lam, sigma, reference=clean):
        if live:
            end = "\n" if step.done else ""
            print(f"\r{source.name}: {step.progress:4.0%}", end=end, file=sys.stderr, flush=True)
    return step.image, step.info.to_dict()
