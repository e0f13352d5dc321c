"""Paintings that are made of strokes, lines and dots."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .canvas import Canvas, along, ramp, step


def night_sky(canvas: Canvas) -> None:
    """Swirling strokes of blue around bright stars, above dark hills."""
    x, y = canvas.grid
    wide, high = canvas.extent
    draw = canvas.random
    canvas.pixels = ramp([(18, 32, 84), (34, 68, 140), (72, 120, 176), (120, 160, 176)], y / high) / 255
    flow = np.stack([np.ones_like(x), 0.35 * np.cos(9 * x + 2 * y)], -1)
    for number in range(2 + round(wide / high)):
        cx, cy = wide * (0.3 + 0.42 * number) / max(1, wide) + draw.uniform(-0.05, 0.05), high * draw.uniform(0.3, 0.5)
        dx, dy, size = x - cx, y - cy, draw.uniform(0.12, 0.17)
        r = np.hypot(dx, dy) + 1e-6
        pull = 9 * np.exp(-((r / size) ** 2))[..., None]
        flow = flow + pull * np.stack([-dy / r - 0.25 * dx / r, dx / r - 0.25 * dy / r], -1)
        bands = 0.5 + 0.5 * np.cos(2 * np.arctan2(dy, dx) - 46 * r)
        canvas.lay(ramp([(40, 84, 160), (196, 214, 206)], bands), 0.85 * np.exp(-((r / size) ** 4)))
    for number in range(11):
        cx, cy = draw.uniform(0, wide), high * draw.uniform(0.03, 0.6)
        size = draw.uniform(0.035, 0.06)
        if number == 0:  # the moon
            cx, cy, size = wide * 0.87, high * 0.15, 0.11
        dx, dy = x - cx, y - cy
        r = np.hypot(dx, dy) + 1e-6
        flow = flow + 9 * np.exp(-((r / (1.6 * size)) ** 2))[..., None] * np.stack([-dy / r, dx / r], -1)
        glow = np.exp(-((r / size) ** 2)) * (0.75 + 0.25 * np.cos(2 * np.pi * r / (0.45 * size)))
        canvas.lay(ramp([(120, 168, 190), (226, 196, 72), (250, 226, 120), (255, 246, 206)], glow), 1.3 * glow)
    sky = np.arctan2(flow[..., 1], flow[..., 0])
    ridge = high * 0.74 + 0.06 * np.sin(5 * x + 1) + 0.03 * np.sin(11 * x)
    hill = y > ridge
    depth = ((y - ridge) / (0.3 * high)).clip(0, 1)
    canvas.lay(ramp([(96, 140, 176), (44, 84, 120), (40, 84, 84), (92, 108, 52), (30, 52, 50)], depth), hill)
    angle = np.where(hill, along(y - ridge + 0.02 * np.sin(14 * x + 20 * y)), sky)
    tree = np.abs(x - 0.16 * wide - 0.015 * np.sin(22 * y)) < 0.085 * ((y / high - 0.18) / 0.82).clip(0, 1) ** 0.7
    canvas.lay(ramp([(20, 34, 30), (44, 60, 34), (14, 22, 30)], 0.5 + 0.5 * np.sin(60 * x + 9 * y)), tree)
    angle = np.where(tree, np.pi / 2 + 0.5 * np.sin(18 * y + 30 * x), angle)
    base = canvas.pixels
    canvas.strokes(angle, count=5000, length=0.07, width=0.016, jitter=0.05, colours=base)
    canvas.strokes(angle, count=7000, length=0.045, width=0.009, bristles=3, jitter=0.08, colours=base)
    canvas.relief(1.4)


def dusk(canvas: Canvas) -> None:
    """A burning sky in long wavy bands over dark water."""
    x, y = canvas.grid
    wide, high = canvas.extent
    wave = canvas.noise(2, 2)
    sky = y / high + 0.05 * np.sin(5 * x + 4 * y + canvas.random.uniform(0, 6)) + 0.06 * wave
    tint = ramp([(150, 38, 28), (226, 84, 30), (246, 162, 52), (196, 52, 34), (250, 196, 92), (224, 110, 40)], sky * 2)
    canvas.lay(tint + 26 * np.sin(70 * sky)[..., None], np.ones_like(x))
    shore = 0.5 * high + 0.05 * np.sin(3 * x / wide) - 0.05 * x / wide
    fjord = np.hypot((x - 0.7 * wide) / 1.5, (y - 0.72 * high) * 1.1) + 0.05 * wave
    water = y > shore
    colours = ramp([(206, 176, 110), (60, 84, 112), (26, 40, 70), (42, 70, 84), (16, 24, 46)], fjord * 1.6)
    canvas.lay(colours + 18 * np.sin(80 * fjord)[..., None], water)
    angle = np.where(water, along(fjord), along(sky))
    pier = y / high > 0.62 + 0.62 * x / wide
    planks = 0.5 + 0.5 * np.sin(90 * (y / high - 0.62 * x / wide))
    canvas.lay(ramp([(84, 46, 30), (150, 92, 54), (112, 58, 36)], planks), pier)
    angle = np.where(pier, np.arctan2(0.62 * high, wide), angle)
    base = canvas.pixels
    canvas.strokes(angle, count=2500, length=0.2, width=0.02, bristles=6, jitter=0.06, colours=base)
    canvas.strokes(angle, count=2500, length=0.14, width=0.008, bristles=2, jitter=0.1, colours=base)
    canvas.relief(0.8)


def pointillism(canvas: Canvas) -> None:
    """A river bank in dots of pure colours that mix in the eye."""
    x, y = canvas.grid
    wide, high = canvas.extent
    draw = canvas.random
    down = y / high
    canvas.pixels = ramp([(120, 170, 226), (190, 208, 220), (250, 222, 170)], down * 2) / 255
    canvas.lay(ramp([(226, 210, 170), (96, 140, 190), (70, 104, 160)], (down - 0.45) * 2), down > 0.46)
    bank = down > 0.62 + 0.16 * np.sin(2.2 * x / wide + 0.4) - 0.16 * x / wide
    canvas.lay(ramp([(150, 190, 70), (84, 140, 60), (196, 190, 80)], 0.5 + 0.5 * canvas.noise(5, 2)), bank)
    for _ in range(7):
        cx, foot, size = draw.uniform(0, wide), high * draw.uniform(0.46, 0.6), draw.uniform(0.08, 0.2)
        crown = np.hypot((x - cx) * 1.2, y - foot + size) + 0.02 * canvas.noise(12)
        light = ((x - cx) + (y - foot + size)) / size
        canvas.lay(ramp([(180, 200, 80), (64, 120, 62), (34, 60, 92)], 0.5 + 0.4 * light), crown < size)
        canvas.lay((54, 40, 70), (np.abs(x - cx) < 0.008) & (y > foot - size) & (y < foot + 0.06))
    canvas.lay((70, 60, 130), bank * 0.9 * step(canvas.noise(5, 3), 0.8, 0.5))
    base = canvas.pixels
    # neighbours of a colour on the wheel, and now and then its opposite
    image = Image.new("RGB", (canvas.width, canvas.height), (236, 226, 206))
    brush = ImageDraw.Draw(image)
    count = round(30_000 * wide * high)
    points = draw.uniform(0, 1, (count, 2)) * (canvas.width, canvas.height)
    paint = base[points[:, 1].astype(int), points[:, 0].astype(int)]
    middle = paint.mean(1, keepdims=True)
    paint = middle + (paint - middle) * 1.45 + draw.normal(0, 0.09, paint.shape)
    opposite = draw.uniform(0, 1, (count, 1)) < 0.1
    paint = np.where(opposite, 2 * middle - paint, paint).clip(0, 1)
    radii = draw.uniform(0.004, 0.0075, count) * canvas.unit
    for (px, py), colour, radius in zip(points.tolist(), (255 * paint).astype(int).tolist(), radii, strict=True):
        brush.ellipse((px - radius, py - radius, px + radius, py + radius), fill=tuple(colour))
    canvas.pixels = np.asarray(image) / 255


def etching(canvas: Canvas) -> None:
    """A landscape in fine black lines, hatched across where it is dark."""
    x, y = canvas.grid
    wide, high = canvas.extent
    draw = canvas.random
    rough = canvas.noise(3, 4)
    tone = 0.92 - 0.25 * (y / high) + 0.14 * rough  # 1 is white
    form = y + 0.03 * rough
    for number in range(4):
        ridge = high * (0.42 + 0.14 * number) + 0.09 * np.sin(draw.uniform(2, 5) * x + draw.uniform(0, 6))
        ridge += 0.02 * canvas.noise(9, 3)
        below = y > ridge
        tone = np.where(below, 0.25 + 0.09 * number + 1.6 * (y - ridge) + 0.14 * rough, tone)
        form = np.where(below, (y - ridge) * 0.8 + draw.uniform(-0.5, 0.5) * x + 0.05 * rough, form)
    for _ in range(5):
        cx, cy, size = draw.uniform(0, wide), high * draw.uniform(0.5, 0.85), draw.uniform(0.05, 0.13)
        dx, dy = (x - cx) / size, (y - cy + 0.6 * size) / size
        inside = dx**2 + dy**2 + 0.35 * canvas.noise(14, 2) < 1
        tone = np.where(inside, 0.55 - 0.45 * (dx + 0.6 * dy) + 0.12 * rough, tone)
        form = np.where(inside, size * (np.hypot(dx + 0.6, dy + 0.8)), form)
    sun = np.hypot(x - 0.75 * wide, y - 0.17 * high)
    tone = np.where((sun < 0.3) & (tone > 0.62), tone + 0.4 * (0.3 - sun) / 0.3, tone)
    dark = (1 - tone).clip(0, 1)
    wobble = 0.004 * canvas.noise(18, 2)
    ink = np.zeros_like(x)
    layers = [(form + wobble, 110, 0.08), (0.8 * x + 0.6 * y + wobble, 84, 0.42)]
    layers += [(0.6 * x - 0.8 * y + wobble, 88, 0.58), (x + wobble, 96, 0.74)]
    for phase, lines, least in layers:
        distance = np.abs((phase * lines) % 1 - 0.5)  # 0 on a line
        half = 0.33 * ((dark - least) / (1 - least)).clip(0, 1) ** 0.8 + np.where(dark > least, 0.06, -1)
        ink = np.maximum(ink, step(half - distance, 0, 0.1))
    canvas.lay((242, 234, 214), np.ones_like(x))
    canvas.pixels += 0.012 * canvas.noise(120)[..., None]
    canvas.lay((28, 24, 26), 0.94 * ink)


def drips(canvas: Canvas) -> None:
    """Paint dripped and flung on a bare canvas, in tangled lines."""
    draw = canvas.random
    wide, high = canvas.extent
    weave = 0.02 * canvas.noise(160) + 0.04 * canvas.noise(4, 2)
    canvas.pixels = np.array([214, 200, 172]) / 255 + weave[..., None]
    image = canvas._image()
    brush = ImageDraw.Draw(image)
    black, white, ochre, slate = (30, 28, 30), (236, 232, 220), (176, 116, 44), (92, 116, 132)
    paints = [black, white, ochre, slate, black, (150, 44, 34), (214, 176, 70)]
    for number in range(round(130 * wide * high)):
        colour = paints[number % len(paints)]
        turn = np.cumsum(draw.normal(0, 0.09, 260)) + draw.uniform(0, 6.3) + draw.normal(0, 0.02) * np.arange(260)
        speed = 0.006 * (1 + 0.6 * np.sin(np.linspace(0, draw.uniform(5, 30), 260)))
        px = (draw.uniform(-0.1, wide + 0.1) + np.cumsum(speed * np.cos(turn))) * canvas.unit
        py = (draw.uniform(-0.1, high + 0.1) + np.cumsum(speed * np.sin(turn))) * canvas.unit
        # slow is thick
        thick = canvas.unit * draw.uniform(0.0012, 0.006) * (0.006 / speed) ** 0.9
        for index in range(1, 260):
            size = thick[index]
            brush.line((px[index - 1], py[index - 1], px[index], py[index]), fill=colour, width=max(1, round(2 * size)))
            brush.ellipse((px[index] - size, py[index] - size, px[index] + size, py[index] + size), fill=colour)
        for _ in range(14):
            at, far = draw.integers(260), draw.normal(0, 0.03, 2) * canvas.unit
            size = canvas.unit * 0.0015 * draw.pareto(2.5) + 1
            sx, sy, size = px[at] + far[0], py[at] + far[1], min(size, 0.016 * canvas.unit)
            brush.ellipse((sx - size, sy - size, sx + size, sy + size), fill=colour)
    canvas.pixels = np.asarray(image) / 255
    canvas.relief(0.5)
