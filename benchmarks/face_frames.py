"""How well faces in photographs are framed, with holes in them: by the cascades alone, and by the network as well.

`python -m benchmarks.face_frames --faces faces128.zip --photos photos.zip`: held-out faces are put into photographs,
tilted and of several sizes, a part of each is covered, and the frame that `box="auto"` takes is compared with the place
where the face was put. The photographs themselves, with a hole each, show how often a face is seen where none was put;
some have faces of their own.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.datasets import ImageFiles
from zoo.restore import frame
from zoo.restore.frame import Frame, frame_of, square_around
from zoo.restore.turned import put_back

# middle and half axes of a hole, in sides of the face
HOLES = {
    "no hole": None,
    "nose": (0.5, 0.58, 0.18, 0.18),
    "mouth": (0.5, 0.75, 0.25, 0.12),
    "an eye": (0.33, 0.42, 0.16, 0.12),
    "both eyes": (0.5, 0.42, 0.36, 0.13),
    "a half": (0.8, 0.5, 0.3, 0.5),
}


def tensor_of(pixels: np.ndarray) -> Tensor:
    """(3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255


def ellipse(size: int, x: float, y: float, a: float, b: float) -> Tensor:
    """Distance from the middle of an ellipse, 1 on it, of the pixels of a square, in parts of its side."""
    axis = (torch.arange(size) + 0.5) / size
    return (((axis[None, :] - x) / a) ** 2 + ((axis[:, None] - y) / b) ** 2).sqrt()


def scene(photo: Tensor, face: Tensor, at: Frame, hole: tuple[float, ...] | None) -> tuple[Tensor, Tensor]:
    """A photograph with a face in it, and what of it is known."""
    side, size = at.box[2], (photo.shape[1], photo.shape[2])
    scaled = torch.nn.functional.interpolate(face[None], size=(side, side), mode="bilinear", antialias=True)[0]
    soft = ((1 - ellipse(side, 0.5, 0.5, 0.5, 0.5)) / 0.1).clamp(0, 1)
    missing = torch.zeros(side, side) if hole is None else (ellipse(side, *hole) < 1).float()
    layers = put_back(torch.cat([scaled, soft[None], missing[None]])[None], at.box, at.angle, size)[0]
    return torch.lerp(photo, layers[:3], layers[3]), layers[4] < 0.5


def main() -> None:
    """Prints a table for each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=24, help="faces a hole")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    faces, photos = ImageFiles(arguments.faces), ImageFiles(arguments.photos)
    held_out, names = faces.images("val/"), photos.images()
    names = names[:: max(1, len(names) // arguments.limit)][: arguments.limit]
    network = frame.framing_network()
    ways = {"cascade": None, "network": network}
    print(f"{'':12}{'':10}{'found':>7}{'place %':>9}{'worst':>7}{'size %':>8}{'angle':>7}{'worst':>7}")
    for kind, hole in HOLES.items():
        for way, used in ways.items():
            frame.framing_network = lambda used=used: used
            rng = np.random.default_rng(0)
            errors = []
            for number, name in enumerate(names):
                photo, face = tensor_of(photos.decode(name)), tensor_of(faces.decode(held_out[7 * number]))
                short = min(photo.shape[1:])
                side = int(rng.uniform(0.25, 0.55) * short)
                left, top = (int(rng.uniform(0, length - side)) for length in (photo.shape[2], photo.shape[1]))
                at = Frame((left, top, side, side), float(rng.uniform(-25, 25)))
                picture, known = scene(photo, face, at, hole)
                found = frame_of("auto", picture, known, True)
                middle = [found.box[k] + found.box[2] / 2 - at.box[k] - side / 2 for k in (0, 1)]
                place = math.hypot(*middle) / side
                if found.box == square_around(known) or place > 0.5:
                    continue
                errors.append((100 * place, 100 * abs(math.log(found.box[2] / side)), abs(found.angle - at.angle)))
            table = np.array(errors).reshape(-1, 3)
            mean, worst = (table.mean(0), table.max(0)) if len(table) else (np.full(3, np.nan), np.full(3, np.nan))
            row = f"{kind if way == 'cascade' else '':12}{way:10}{len(table):>4}/{len(names)}{mean[0]:>9.1f}"
            print(f"{row}{worst[0]:>7.1f}{mean[1]:>8.1f}{mean[2]:>7.1f}{worst[2]:>7.1f}", flush=True)
    for way, used in ways.items():
        frame.framing_network = lambda used=used: used
        rng, seen = np.random.default_rng(1), [0, 0]
        for name in names:
            photo = tensor_of(photos.decode(name))
            side = int(rng.uniform(0.1, 0.3) * min(photo.shape[1:]))
            left, top = (int(rng.uniform(0, length - side)) for length in (photo.shape[2], photo.shape[1]))
            known = torch.ones(photo.shape[1:], dtype=torch.bool)
            for place in range(2):
                seen[place] += frame_of("auto", photo, known, True).box != square_around(known)
                known[top : top + side, left : left + side] = False
        print(
            f"{way}: a face seen in {seen[0]} of {len(names)} photographs as they are, {seen[1]} with a hole anywhere"
        )


if __name__ == "__main__":
    main()
