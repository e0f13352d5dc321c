"""Paintings that are made of areas: glass, stone, washes, planes and printed blocks."""

from __future__ import annotations

import numpy as np
from PIL import ImageDraw

from .canvas import Canvas, Plane, ramp, step


def stained_glass(canvas: Canvas) -> None:
    """A rose window: glowing glass between black leads."""
    x, y = canvas.grid
    wide, high = canvas.extent
    draw = canvas.random
    cx, cy = wide / 2, high / 2
    seeds = [(cx, cy)]
    for ring in range(1, 14):
        count = 6 * ring if ring < 6 else 10 * ring
        turns = 2 * np.pi * (np.arange(count) / count + 0.5 * (ring % 2) / count)
        radius = 0.082 * ring
        jitter = 0.0 if ring < 6 else 0.018
        seeds += [
            (cx + radius * np.cos(turn) + draw.normal(0, jitter), cy + radius * np.sin(turn) + draw.normal(0, jitter))
            for turn in turns
        ]
    seeds = [(px, py) for px, py in seeds if -0.1 < px < wide + 0.1 and -0.1 < py < high + 0.1]
    owner, gap = voronoi(canvas, seeds)
    reds = [(176, 22, 30), (214, 52, 34), (236, 150, 32), (250, 208, 92)]
    blues = [(18, 38, 130), (26, 84, 180), (60, 148, 200), (34, 120, 96), (96, 40, 130)]
    table = []
    for px, py in seeds:
        ring = round(np.hypot(px - cx, py - cy) / 0.082)
        palette = reds if ring in (0, 2, 5) else blues
        table.append(np.array(palette[draw.integers(len(palette))]) * draw.uniform(0.85, 1.1))
    glass = np.array(table)[owner]
    light = 0.85 + 0.16 * canvas.noise(4, 2) + 0.07 * canvas.noise(60) + 0.5 * np.exp(-((gap - 0.045) ** 2) / 0.0006)
    canvas.lay(glass * (light * (1.1 - 0.35 * np.hypot(x - cx, y - cy)))[..., None], np.ones_like(x))
    lead = step(-gap, -0.0075, 0.003)
    canvas.lay((20, 18, 22), lead)
    canvas.lay((92, 90, 96), 0.7 * step(-gap, -0.002, 0.002))
    for radius in (0.082 * 2.5, 0.082 * 5.5):
        canvas.lay((16, 15, 18), step(-np.abs(np.hypot(x - cx, y - cy) - radius), -0.008, 0.003))


def voronoi(canvas: Canvas, seeds: list[tuple[float, float]], reach: float = 0.16) -> tuple[np.ndarray, Plane]:
    """The nearest seed of each pixel, and how much farther the second nearest is.

    Seeds are looked for within `reach`, and farther only where that is not far enough for some pixel.
    """
    x, y = canvas.grid
    best = np.full(x.shape, np.inf)
    second = np.full(x.shape, np.inf)
    owner = np.zeros(x.shape, int)
    for index, (px, py) in enumerate(seeds):
        part = canvas.near(px, py, reach)
        distance = np.hypot(x[part] - px, y[part] - py)
        nearer = distance < best[part]
        second[part] = np.where(nearer, best[part], np.minimum(second[part], distance))
        owner[part][nearer] = index
        best[part] = np.minimum(best[part], distance)
    if reach < sum(canvas.extent) and second.max() > reach:
        return voronoi(canvas, seeds, 2 * reach)
    return owner, np.asarray(second - best)


def tesserae(canvas: Canvas) -> None:
    """Small stones in mortar: a gold sun in rings, waves of blue around it."""
    draw = canvas.random
    wide, high = canvas.extent
    cx, cy, tile = 0.5 * wide, 0.42 * high, 0.021
    gold = [(214, 168, 60), (236, 200, 96), (190, 136, 44), (246, 222, 150)]
    red = [(150, 40, 30), (184, 64, 40), (120, 26, 26)]
    blue = [(24, 52, 110), (40, 88, 150), (86, 140, 176), (20, 34, 74)]
    green = [(60, 110, 84), (96, 140, 90), (40, 78, 66)]
    pale = [(226, 216, 194), (206, 196, 176), (238, 232, 214)]
    stones: list[tuple[float, float, float, list[tuple[int, int, int]]]] = []
    rings = int(0.36 / tile)
    for ring in range(rings):
        radius = (ring + 0.5) * tile
        count = max(1, round(2 * np.pi * radius / tile))
        for turn in 2 * np.pi * (np.arange(count) + draw.uniform()) / count:
            ray = np.cos(12 * turn) > 0.1
            palette = gold if ring < 7 else pale if ring == 7 else (gold if ray else red) if ring < 14 else blue
            stones.append((cx + radius * np.cos(turn), cy + radius * np.sin(turn), turn, palette))
    lines = int(1.3 * high / tile)
    for line in range(lines):
        for column in range(int(wide / tile) + 2):
            px = (column + 0.5 * (line % 2)) * tile
            py = (line + 0.5) * tile - 0.1 + 0.035 * np.sin(9 * px)
            if np.hypot(px - cx, py - cy) < (rings + 0.3) * tile:
                continue
            band = (line // 3) % 4
            palette = (blue, blue, green, pale)[band] if py > 0.5 * high else (pale, gold, pale, pale)[band]
            stones.append((px, py, np.arctan(0.32 * np.cos(9 * px)), palette))
    mortar = 20 * canvas.noise(80)[..., None] + np.array([112, 102, 92])
    canvas.lay(mortar, np.ones((canvas.height, canvas.width)))
    image = canvas._image()
    brush = ImageDraw.Draw(image)
    for px, py, turn, palette in stones:
        colour = np.array(palette[draw.integers(len(palette))]) + draw.normal(0, 9) + draw.normal(0, 5, 3)
        turn = turn + draw.normal(0, 0.07)
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.43 * tile + draw.normal(0, 0.05 * tile, (4, 2))
        spin = np.array([(np.cos(turn), np.sin(turn)), (-np.sin(turn), np.cos(turn))])
        corners = (corners @ spin + (px, py)) * canvas.unit
        brush.polygon(corners.ravel().tolist(), fill=tuple(int(v) for v in colour.clip(0, 255)))
    canvas.pixels = np.asarray(image) / 255
    canvas.relief(0.5)


def watercolour(canvas: Canvas) -> None:
    """Washes that run into each other on rough paper, darker where they dried."""
    x, y = canvas.grid
    wide, high = canvas.extent
    draw = canvas.random
    grain = canvas.noise(110, 2)
    canvas.pixels = np.array([250, 247, 238]) / 255 + 0.012 * grain[..., None]
    paints = [(20, 80, 170), (40, 170, 190), (240, 170, 40), (236, 84, 70), (220, 60, 130), (90, 60, 170)]
    for number in range(round(34 * wide * high)):
        size = 0.05 + 0.2 * draw.beta(1.2, 2.4) if number > 5 else draw.uniform(0.22, 0.36)
        cx, cy = draw.uniform(0, wide), draw.uniform(0, high)
        squeeze = draw.uniform(0.7, 1.4)
        # the rim wanders, finely here and there, and never beyond this part
        part = canvas.near(cx, cy, 1.6 * size, 1.6 * size / squeeze)
        radius = np.hypot(x[part] - cx, (y[part] - cy) * squeeze) / size + 0.22 * canvas.noise(5, 4)[part]
        inside = step(-radius, -1, 0.03)
        rim = np.exp(-(((radius - 0.97) / 0.05) ** 2)) * inside
        bloom = 0.5 + 0.5 * canvas.noise(6, 3)[part]
        strength = inside * (0.3 + 0.35 * bloom * radius.clip(0, 1)) + 0.4 * rim + 0.07 * inside * grain[part]
        first = draw.integers(len(paints))
        pigment = ramp([paints[first], paints[(first + 1) % len(paints)]], 0.5 + 0.8 * canvas.noise(3)[part]) / 255
        canvas.pixels[part] *= 1 - (strength * draw.uniform(0.45, 0.85)).clip(0, 0.95)[..., None] * (1 - pigment)
    for _ in range(round(90 * wide * high)):
        cx, cy, size = draw.uniform(0, wide), draw.uniform(0, high), 0.002 + 0.004 * draw.pareto(3)
        part, drop = canvas.spot(cx, cy, min(size, 0.02))
        canvas.pixels[part] *= 1 - 0.6 * drop[..., None] * (1 - np.array(paints[draw.integers(len(paints))]) / 255)


def planes(canvas: Canvas) -> None:
    """Facets of ochre and grey that break up a still life."""
    x, y = canvas.grid
    wide, high = canvas.extent
    draw = canvas.random
    cuts: list[Plane] = []
    for number in range(11):
        turn = draw.uniform(0, np.pi) if number > 3 else (0.35, 1.2, 1.9, 2.8)[number]
        px, py = wide * draw.normal(0.5, 0.2), high * draw.normal(0.5, 0.2)
        cuts.append((x - px) * np.cos(turn) + (y - py) * np.sin(turn))
    for _ in range(3):
        px, py = wide * draw.uniform(0.25, 0.75), high * draw.uniform(0.25, 0.75)
        cuts.append(np.hypot(x - px, y - py) - draw.uniform(0.12, 0.3))
    code = sum((cut > 0).astype(np.int64) << index for index, cut in enumerate(cuts))
    _, facet = np.unique(code, return_inverse=True)
    facet = facet.reshape(x.shape)
    count = int(facet.max()) + 1
    palette = np.array([
        (196, 160, 96), (150, 112, 66), (92, 74, 56), (206, 192, 160), (120, 124, 116), (84, 96, 88), (226, 212, 176),
        (160, 78, 48), (58, 60, 66), (176, 170, 150),
    ])  # fmt: skip
    tint = palette[draw.integers(len(palette), size=count)][facet]
    leader = draw.integers(len(cuts), size=count)
    fade = np.take_along_axis(np.stack(cuts), leader[facet][None], 0)[0]
    canvas.lay(tint * (0.62 + 0.75 * np.exp(-np.abs(fade) / 0.09))[..., None], np.ones_like(x))
    angle = draw.uniform(0, np.pi, count)[facet]
    canvas.strokes(angle, count=7000, length=0.04, width=0.013, bristles=4, jitter=0.045)
    stripes = (np.sin(260 * (x * np.cos(angle) + y * np.sin(angle))) > 0.2) & (draw.uniform(0, 1, count) < 0.1)[facet]
    canvas.lay((40, 36, 34), np.where(stripes, 0.65, 0.0))
    for cut in cuts:
        fading = 0.9 * step(canvas.noise(2), -0.15, 0.4)
        canvas.lay((30, 26, 26), fading * step(-np.abs(cut), -0.0035, 0.002))
    canvas.relief(0.9)


def woodblock(canvas: Canvas) -> None:
    """A printed sea: flat blues, white foam and dark outlines under a graded sky."""
    x, y = canvas.grid
    wide, high = canvas.extent
    draw = canvas.random
    canvas.pixels = ramp([(64, 92, 130), (200, 196, 170), (238, 224, 190), (240, 214, 176)], 1.4 * y / high) / 255
    canvas.lay((196, 62, 44), step(-np.hypot(x - 0.72 * wide, y - 0.2 * high), -0.085, 0.003))
    peak = 0.36 * high + 0.75 * np.abs(x - 0.4 * wide) + 0.006 * canvas.noise(30)
    canvas.lay((92, 112, 140), step(y - peak, 0, 0.003))
    canvas.lay((244, 240, 228), step(y - peak, 0, 0.003) * step(0.46 * high + 0.025 * np.sin(50 * x) - y, 0, 0.003))
    blues = [(168, 192, 192), (104, 148, 172), (52, 98, 148), (28, 60, 112), (20, 40, 84)]
    for number, blue in enumerate(blues):
        base = high * (0.52 + 0.115 * number)
        pace, start = draw.uniform(0.34, 0.5), draw.uniform(0, 1)
        # each wave rises slowly, leans forward and breaks
        phase = ((x - 0.9 * (base - y)) / pace + start) % 1
        rise = np.where(phase < 0.82, (phase / 0.82) ** 2.4, 0.5 + 0.5 * np.cos(np.pi * (phase - 0.82) / 0.18))
        crest = base - (0.1 + 0.02 * number) * (rise - 0.3)
        below = step(y - crest, 0, 0.003)
        canvas.lay(blue, below)
        depth = y - crest
        stripe = step(np.sin(2 * np.pi * (depth * 30 + 0.8 * phase)), 0.55, 0.25) * step(depth, 0.03, 0.01)
        canvas.lay(blues[max(0, number - 2)], 0.8 * below * stripe * step(0.14 - depth, 0, 0.03))
        scallop = 0.022 + 0.016 * np.abs(np.sin(2 * np.pi * x / 0.055 + 3 * number)) + 0.012 * phase
        foam = below * step(scallop - depth, 0, 0.003)
        canvas.lay((244, 240, 226), foam)
        for edge in (depth, depth - scallop):
            canvas.lay((22, 32, 60), step(-np.abs(edge), -0.0035, 0.002))
        for _ in range(round(26 * wide)):
            px = draw.uniform(0, wide)
            row = min(canvas.height - 1, max(0, int((base - 0.07) * canvas.unit)))
            py = crest[row, min(canvas.width - 1, int(px * canvas.unit))] - draw.uniform(0.015, 0.05)
            part, drop = canvas.spot(px, py, draw.uniform(0.003, 0.008))
            canvas.pixels[part] += (np.array((244, 240, 226)) / 255 - canvas.pixels[part]) * drop[..., None]
    wood = np.sin(2 * np.pi * (60 * y + 3 * canvas.noise(2)))
    canvas.pixels += 0.012 * wood[..., None] + 0.012 * canvas.noise(140)[..., None]
