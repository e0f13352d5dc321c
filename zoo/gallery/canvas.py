"""What the paintings are made with: smooth noise, colour ramps, and brush strokes that follow a field of directions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Plane = NDArray[np.float64]
Colour = tuple[int, int, int]


class Canvas:
    """A picture under the brush: twice as large as wanted while it is painted, so that edges come out smooth.

    Lengths are in units of the picture's shorter side, so that a painting looks the same at any size.

    Args:
        height, width: Of the finished picture, in pixels.
        seed: Of everything random in it.
    """

    def __init__(self, height: int, width: int, seed: int) -> None:
        self.height, self.width = 2 * height, 2 * width
        self.unit = min(self.height, self.width)
        self.random = np.random.default_rng(seed)
        self.pixels = np.ones((self.height, self.width, 3))
        """(2 height, 2 width, 3) in [0, 1]."""

    @cached_property
    def grid(self) -> tuple[Plane, Plane]:
        """x and y of each pixel; the shorter side goes from 0 to 1."""
        y, x = np.mgrid[: self.height, : self.width]
        return (x + 0.5) / self.unit, (y + 0.5) / self.unit

    @property
    def extent(self) -> tuple[float, float]:
        """The largest x and y."""
        return self.width / self.unit, self.height / self.unit

    def noise(self, cells: float, octaves: int = 1) -> Plane:
        """Smooth noise with about so many cells along the shorter side; each octave has half the size and strength."""
        total: Plane = np.zeros((self.height, self.width))
        for octave in range(octaves):
            count = cells * 2**octave
            shape = (max(2, round(count * self.extent[1])) + 1, max(2, round(count * self.extent[0])) + 1)
            coarse = Image.fromarray(self.random.uniform(-1, 1, shape).astype(np.float32))
            fine = np.asarray(coarse.resize((self.width, self.height), Image.Resampling.BICUBIC), np.float64)
            total += fine / 2**octave
        return total

    def lay(self, colour: Colour | NDArray[np.float64], cover: Plane | NDArray[np.bool_]) -> None:
        """Cover pixels with a colour (0..255, one or one a pixel), `cover` from 0 to 1."""
        paint = np.asarray(colour, np.float64) / 255
        self.pixels += (paint - self.pixels) * np.asarray(cover, np.float64).clip(0, 1)[..., None]

    def near(self, x: float, y: float, across: float, down: float | None = None) -> tuple[slice, slice]:
        """Rows and columns within `across` and `down` (None: the same) of a point; lengths as everywhere."""
        down = across if down is None else down
        sides = ((y - down, y + down, self.height), (x - across, x + across, self.width))
        first, second = (
            slice(min(limit, max(0, int(low * self.unit) - 1)), min(limit, max(0, int(high * self.unit) + 2)))
            for low, high, limit in sides
        )
        return first, second

    def spot(self, x: float, y: float, radius: float, soft: float = 0.002) -> tuple[tuple[slice, slice], Plane]:
        """A round dot: the part of the picture that it is in, and how much of each pixel there it covers."""
        part = self.near(x, y, radius + soft)
        return part, step(-np.hypot(self.grid[0][part] - x, self.grid[1][part] - y), -radius, soft)

    def strokes(
        self,
        angle: Plane,
        *,
        count: int,
        length: float,
        width: float,
        bristles: int = 4,
        jitter: float = 0.06,
        colours: NDArray[np.float64] | None = None,
        where: NDArray[np.bool_] | None = None,
    ) -> None:
        """Cover the picture with brush strokes.

        Args:
            angle: Direction of the strokes at each pixel, radians.
            count: Number of strokes for a square picture.
            length, width: Of a stroke.
            bristles: Lines of slightly different shade that make up a stroke.
            jitter: Standard deviation of what the shade differs by, from stroke to stroke and line to line.
            colours: (2 height, 2 width, 3) in [0, 1] to take the colours from; None: the picture as it is.
            where: Paint only what starts here.
        """
        source = (self.pixels if colours is None else colours).clip(0, 1)
        count = round(count * self.extent[0] * self.extent[1])
        points = self.random.uniform(0, 1, (count, 2)) * (self.width, self.height)
        rows, columns = self._at(points)
        if where is not None:
            points = points[where[rows, columns]]
            rows, columns = self._at(points)
        shade = source[rows, columns] + self.random.normal(0, jitter, (len(points), 1))
        shade += self.random.normal(0, jitter / 2, (len(points), 3))
        step = self.random.uniform(0.6, 1.2, (len(points), 1)) * length * self.unit / 6
        path = [points]
        for _ in range(6):
            here = angle[self._at(path[-1])]
            path.append(path[-1] + step * np.stack([np.cos(here), np.sin(here)], 1))
        lines = np.stack(path, 1)  # (strokes, 7, 2)
        across = np.gradient(lines, axis=1)[..., ::-1] * (-1, 1)
        across /= np.linalg.norm(across, axis=2, keepdims=True) + 1e-9
        image = self._image()
        draw = ImageDraw.Draw(image)
        thick = width * self.unit
        tones = shade[:, None] + self.random.normal(0, jitter / 2, (len(points), bristles, 1))
        paint = (255 * tones.clip(0, 1)).astype(int).tolist()
        offsets = (np.arange(bristles) + 0.5) / bristles - 0.5
        fine = max(1, round(1.4 * thick / bristles))
        for index in range(len(points)):
            for bristle, offset in enumerate(offsets):
                way = lines[index] + across[index] * (offset * thick)
                draw.line(way.ravel().tolist(), fill=tuple(paint[index][bristle]), width=fine, joint="curve")
        self.pixels = np.asarray(image) / 255

    def relief(self, strength: float) -> None:
        """Light from the upper left on paint that lies thicker where it is brighter."""
        height = self.pixels.mean(2)
        slope = np.gradient(height, axis=0) + np.gradient(height, axis=1)
        self.pixels = self.pixels * (1 + strength * slope.clip(-0.3, 0.3))[..., None]

    def finish(self) -> Image.Image:
        """The picture at the size that was asked for."""
        return self._image().resize((self.width // 2, self.height // 2), Image.Resampling.LANCZOS)

    def _image(self) -> Image.Image:
        return Image.fromarray((255 * self.pixels.clip(0, 1) + 0.5).astype(np.uint8))

    def _at(self, points: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        columns, rows = points.T.astype(np.int64)
        return rows.clip(0, self.height - 1), columns.clip(0, self.width - 1)


def ramp(stops: Sequence[Colour], t: Plane) -> NDArray[np.float64]:
    """Colours (…, 3), 0..255, along evenly spaced stops, for t in [0, 1]."""
    table = np.asarray(stops, np.float64)
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(t, places, table[:, channel]) for channel in range(3)], -1)


def step(x: Plane, edge: float, width: float) -> Plane:
    """0 below the edge and 1 above, with a soft transition of that width."""
    return np.asarray(((x - edge) / width + 0.5).clip(0, 1))


def along(phase: Plane) -> Plane:
    """Directions along the lines of equal phase, radians."""
    down, across = np.gradient(phase)
    return np.asarray(np.arctan2(across, -down))
