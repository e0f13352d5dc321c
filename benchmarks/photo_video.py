"""Photo style transfer on pairs of photographs, and the flicker of stylised videos, all methods in one run.

    python -m benchmarks.photo_video [--pairs photo-pairs.zip] [--video video.zip] [--size 192] [--limit 3] [--frames 8]

Photographs: the optimisation without photorealism, a solver with the proximal operator (where one is installed), the
optimisation with the matting term (Luan et al.) and smoothed afterwards, a whitening network smoothed afterwards
(PhotoWCT); L_TV, likeness of the edges to the content, seconds. Videos: the warping error frame by frame, with the
temporal operator after the engine, and inside it.
Writes photo_video.json, photo_video.txt and contact sheets; git ignores the folder, because the pictures of a data set
may not be shown.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from zoo.evaluation.photo import METHODS, PhotoPair, PhotoScore, evaluate_photo, photo_pairs, summarise_photo
from zoo.evaluation.video import VideoScore, evaluate_video, sequences
from zoo.images import as_pil, to_picture
from zoo.stylize.ranking import choose
from zoo.stylize.sequence import TEMPORAL

FOLDER = Path(__file__).parent / "results"
HEIGHT, GAP = 120, 4
"""Of a picture on a sheet and the space between two, in pixels."""


def main() -> None:
    """Runs what data is given for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, help="folder or archive with content/, style/ and *_mask/")
    parser.add_argument("--video", type=Path, help="folder or archive of folders of frames")
    parser.add_argument("--size", type=int, default=192, help="longer side")
    parser.add_argument("--limit", type=int, help="only so many pairs, evenly spread")
    parser.add_argument("--frames", type=int, help="only the first so many frames of each sequence")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--no-masks", action="store_true", help="without the segmentation maps")
    parser.add_argument("--model", help="engine of the solver and of the videos; default: the best installed")
    parser.add_argument("--style", default="gallery:dusk", help="of the videos")
    parser.add_argument("--modes", nargs="*", default=["artistic"], help="of the videos: artistic, photo")
    parser.add_argument("--lam", type=float, default=50.0)
    parser.add_argument("--temporal-lam", type=float, default=0.37)
    parser.add_argument("--steps", type=int, help="iterations of the optimisation")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "size": options.size,
        "lam": options.lam,
        "temporal_lam": options.temporal_lam,
        "device": options.device,
        "threads": options.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    text: list[str] = []
    if options.pairs is not None:
        pairs = list(photo_pairs(options.pairs, options.limit, not options.no_masks))
        scores = []
        for one in evaluate_photo(
            pairs,
            options.methods,
            model=options.model,
            lam=options.lam,
            size=options.size,
            steps=options.steps,
            device=options.device,
        ):
            scores.append(one)
            sys.stderr.write(f"{one.pair} {one.method}: edges {one.edge_ssim or 0:.3f}, {one.seconds:.1f} s\n")
        results["photo"] = {"summary": summarise_photo(scores), "pairs": [one.to_dict() for one in scores]}
        text += ["photographs, medians", *aligned(photo_rows(results["photo"]["summary"])), ""]
        photo_sheet(pairs, scores).save(options.out / "photo.png")
    if options.video is not None:
        model = options.model or choose(moving=True).name
        made: list[VideoScore] = []
        named = list(sequences(options.video, options.size, options.frames))
        for mode in options.modes:
            for score in evaluate_video(
                named,
                model,
                style=options.style,
                mode=mode,
                temporal_lam=options.temporal_lam,
                steps=options.steps,
                device=options.device,
            ):
                made.append(score)
                sys.stderr.write(f"{score.sequence} {mode} {score.temporal}: {score.error:.6f}\n")
        results["video"] = [one.to_dict() for one in made]
        text += ["warping error of videos", *aligned(video_rows(made)), ""]
        video_sheet(made).save(options.out / "video.png")
    if not text:
        parser.error("nothing to do: give --pairs or --video")
    (options.out / "photo_video.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (options.out / "photo_video.txt").write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))
    print(f"written to {options.out}")


def photo_rows(records: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The summary as rows of a table, the first one being its head."""

    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    rows: list[tuple[str, ...]] = [("method", "engine", "pairs", "L_TV", "of content", "edges", "seconds")]
    for one in records:
        numbers = (shown(one["l_tv"], ".4f"), shown(one["left"], ".0%"), shown(one["edge_ssim"], ".3f"))
        rows.append((one["method"], one["engine"], str(one["pairs"]), *numbers, f"{one['seconds']:.2f}"))
    return rows


def video_rows(scores: Sequence[VideoScore]) -> list[tuple[str, ...]]:
    """A row for each way, with what it leaves of the error frame by frame."""
    rows: list[tuple[str, ...]] = [
        ("sequence", "mode", "consistency", "frames", "error", "of frame by frame", "s/frame")
    ]
    for one in scores:
        same = [other for other in scores if (other.sequence, other.mode) == (one.sequence, one.mode)]
        free = next((other.error for other in same if other.temporal == TEMPORAL[-1]), None)
        share = f"{one.error / free:.0%}" if free else ""
        rows.append(
            (one.sequence, one.mode, one.temporal, str(one.frames), f"{one.error:.6f}", share, f"{one.seconds:.2f}")
        )
    return rows


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lines with columns of one width."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def photo_sheet(pairs: Sequence[PhotoPair], scores: Sequence[PhotoScore]) -> Image.Image:
    """A row for each pair: content, style, and the results in the order of the methods."""
    rows = []
    for pair in pairs:
        found = [one.image for one in scores if one.pair == pair.name]
        rows.append([cell(to_picture(pair.content).tensor), cell(to_picture(pair.style).tensor), *map(cell, found)])
    return sheet(rows)


def video_sheet(scores: Sequence[VideoScore]) -> Image.Image:
    """A row for each way: first, middle and last frame."""
    return sheet([[cell(one.images[i]) for i in (0, len(one.images) // 2, -1)] for one in scores])


def sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Pictures of one height in rows."""
    width = max(sum(one.width + GAP for one in row) for row in rows) - GAP
    whole = Image.new("RGB", (width, len(rows) * (HEIGHT + GAP) - GAP), "white")
    for down, row in enumerate(rows):
        across = 0
        for one in row:
            whole.paste(one, (across, down * (HEIGHT + GAP)))
            across += one.width + GAP
    return whole


def cell(picture: Tensor) -> Image.Image:
    """(1, 3, H, W) in [0, 1] at the height of the sheet."""
    image = as_pil(picture[0])
    return image.resize((max(1, round(image.width * HEIGHT / image.height)), HEIGHT), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
