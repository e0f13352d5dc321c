"""A picture of what a model does, made by the model itself; for cards and the page."""

from __future__ import annotations

from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor, nn

from . import registry
from .entry import Entry

SLOW = ("gatys", "dip")
"""Architectures that take minutes; `docs/showcases.py` draws them once, into `showcases` of the package."""
GAP = 6  # pixels between two pictures
LEVEL = 25.0  # noise, 0..255 scale
PAINTING = "night_sky"
MISSING = 0.7  # share of the pixels
FRAME_ROUNDS = 4  # in which a frame is moved
RESTORE_STEPS, TRAINED_STEPS = 600, 50  # of priors without and with training
WIDE = 64


def showcase(
    entry: Entry, module: nn.Module | None = None, picture: Tensor | None = None, *, patient: bool = False
) -> Image.Image | None:
    """What goes in and what comes out, side by side.

    Args:
        entry: The model's record.
        module: The model; None: it is loaded.
        picture: (1, 3, H, W) in [0, 1]; None: `drawn_picture()`, and what was drawn of it before where that is there.
        patient: Draw it in any case, whatever it takes; else it takes a few seconds.

    Returns:
        An RGB picture; None for a model whose results cannot be shown, or take too long.

    Raises:
        WeightsNotFoundError: the model is to be loaded, and its weights are nowhere.
    """
    draw = next((DRAWERS[task] for task in entry.tasks if task in DRAWERS), None)
    if draw is None:
        return None
    from .loading import load

    before = registry.home(entry.name) / "showcases" / f"{entry.name}.png"
    if module is None and picture is None and not patient and before.is_file():
        with Image.open(before) as image:
            return image.convert("RGB")
    if entry.arch in SLOW and not patient:
        return None
    if module is None:
        module = load(entry.name, local_files_only=True)
    source = drawn_picture() if picture is None else picture
    with torch.no_grad():
        tiles = draw(entry, module.eval(), source)
    return _beside(tiles)


def drawn_picture(size: int = 192) -> Tensor:
    """Discs and a bar before a sky, with shading and soft edges: (1, 3, size, size) in [0, 1], from a formula."""
    axis = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    picture = torch.stack([0.55 + 0.35 * y, 0.72 + 0.16 * y, 0.85 - 0.1 * y])

    def paint(inside: Tensor, colour: tuple[float, float, float]) -> None:
        """`inside`: distance to the edge, positive within."""
        share = (inside * size).add(0.5).clamp(0, 1)
        shade = 0.8 + 0.35 * (1 - y)
        for plane, value in zip(picture, colour, strict=True):
            plane.mul_(1 - share).add_(share * (value * shade).clamp(0, 1))

    for left, top, radius, colour in (
        (0.72, 0.27, 0.15, (0.86, 0.64, 0.2)),
        (0.2, 0.95, 0.42, (0.22, 0.5, 0.52)),
        (0.9, 1.0, 0.45, (0.12, 0.3, 0.33)),
        (0.45, 0.62, 0.17, (0.74, 0.3, 0.22)),
    ):
        paint(radius - ((x - left) ** 2 + (y - top) ** 2).sqrt(), colour)
    paint(0.03 - (0.8 * (x - 0.5) + 0.6 * (y - 0.45)).abs(), (0.95, 0.9, 0.8))
    return picture[None]


def _denoise(entry: Entry, module: nn.Module, clean: Tensor) -> list[Tensor]:
    from .noise import add_noise
    from .tasks.denoise import LAM_PER_SIGMA

    noisy = add_noise(clean, LEVEL, 0)
    if entry.input.control == "lam":
        result = module(noisy, LAM_PER_SIGMA.get(entry.name, 0.7) * LEVEL / 255)
    elif entry.input.control == "sigma":
        result = module(noisy, LEVEL)
    elif entry.input.channels in (None, 3):
        result = module(noisy)
    else:
        noisy = noisy.mean(1, keepdim=True).expand(-1, entry.input.channels, -1, -1)
        result = module(noisy)
    return [noisy[0], result[0]]


def _encode(entry: Entry, module: nn.Module, picture: Tensor) -> list[Tensor]:
    """The picture, and the strongest channel of three layers."""
    layers = list(module(picture).values())
    tiles = [picture[0]]
    for layer in (layers[0], layers[len(layers) // 2], layers[-1]):
        strongest = layer[0, layer[0].mean((1, 2)).argmax()]
        shown = nn.functional.interpolate(strongest[None, None], picture.shape[-2:])[0]
        tiles.append(shown / shown.amax().clamp(min=1e-6))
    return tiles


def _sparse_code(entry: Entry, module: nn.Module, picture: Tensor) -> list[Tensor]:
    """The picture in grey, and what its patches' codes give back."""
    from .models.lista import unit_patches

    side = int(entry.config.get("side", 8))
    grey = picture.mean(1, keepdim=True)[..., : picture.shape[2] // side * side, : picture.shape[3] // side * side]
    patches = nn.functional.unfold(grey, side, stride=side)[0].T  # (N, side^2)
    mean = patches.mean(1, keepdim=True)
    norm = (patches - mean).norm(dim=1, keepdim=True)
    dictionary = module.get_buffer("dictionary")
    restored = module(unit_patches(patches)) @ dictionary.T * norm + mean
    return [grey[0], nn.functional.fold(restored.T[None], grey.shape[-2:], side, stride=side)[0]]


def _stylize(entry: Entry, module: nn.Module, content: Tensor) -> list[Tensor]:
    """The picture, a painting, and the picture in its style."""
    from .gallery import paint
    from .images import to_picture
    from .tasks.stylize import stylize

    name = entry.config.get("style", PAINTING)  # a network may know only one
    painting = to_picture(paint(name, *content.shape[-2:])).tensor
    with torch.enable_grad():
        result = stylize(content, f"gallery:{name}", model=module, measure=False)
    return [content[0], painting[0], result[0]]


def _restore(entry: Entry, module: nn.Module, clean: Tensor) -> list[Tensor]:
    """The picture with pixels missing, and what the prior fills in; by a wide network at half the size."""
    from .tasks.restore import restore

    scale = 2 if entry.config.get("width", 0) > WIDE else 1
    clean = nn.functional.avg_pool2d(clean, scale)
    lost = torch.rand(clean.shape[-2:], generator=torch.Generator().manual_seed(0)) < MISSING
    with torch.enable_grad():
        steps = RESTORE_STEPS // scale if entry.arch in SLOW else TRAINED_STEPS
        result = restore(clean, "inpaint", lost.numpy(), entry.name, steps=steps)
    return [tile.repeat_interleave(scale, 1).repeat_interleave(scale, 2) for tile in (clean[0] * ~lost, result[0])]


def _start(entry: Entry, module: nn.Module, picture: Tensor) -> list[Tensor]:
    """The picture with a hole, and what the prior makes of the latent that the encoder gives."""
    from .loading import load
    from .restore.degradation import Mask

    size = int(entry.config.get("size", 128))
    known = torch.ones(size, size)
    known[size // 3 : -(size // 3), size // 3 : -(size // 3)] = 0
    degradation = Mask(known)
    evidence = degradation.evidence(nn.functional.interpolate(picture, (size, size), mode="area"))
    result = load(f"lcm.{entry.tag}", local_files_only=True)(module(evidence))
    return _of_height([evidence[0, :3] * known, result[0]], picture.shape[-2])


def _sample(entry: Entry, module: nn.Module, picture: Tensor) -> list[Tensor]:
    """Four pictures out of nothing."""
    from .tasks.latents import sample

    return _of_height(list(sample(f"lcm.{entry.tag}", 4)), picture.shape[-2])


def _of_height(tiles: list[Tensor], height: int) -> list[Tensor]:
    return [nn.functional.interpolate(tile[None], (height, height), mode="bilinear")[0] for tile in tiles]


def _frame(entry: Entry, module: nn.Module, picture: Tensor) -> list[Tensor]:
    """A face that a prior makes, what is seen of it in a frame that is off, and where the network moves the frame."""
    from .models.face_frame import FaceFrame, moved
    from .tasks.latents import sample

    assert isinstance(module, FaceFrame)
    face = sample(f"lcm.{entry.tag}", 1)
    side = face.shape[-1]
    frames = moved(face.new_tensor([[side / 2, side / 2, side, 0.0]]), face.new_tensor([[0.08, 0.1, 0.1, 0.3]]))
    pictures = torch.cat([face, torch.ones_like(face[:, :1])], 1)
    views = [module.views(pictures, each) for each in (frames, module.moved(pictures, frames, FRAME_ROUNDS)[0])]
    tiles = [face[0], *(view[0, :3] * view[0, 3:] for view in views)]
    return _of_height(tiles, picture.shape[-2])


def _superres(entry: Entry, module: nn.Module, picture: Tensor) -> list[Tensor]:
    """The luminance made small and enlarged by interpolation, and what the network makes of that."""
    from .superres.shrink import degradation

    factor = int(entry.config.get("factor", 3))
    luminance = (picture * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    small = degradation(entry.config.get("degradation", "bicubic"), factor)(luminance)
    large = nn.functional.interpolate(small, luminance.shape[-2:], mode="bicubic").clamp(0, 1)
    return [large[0], module(large)[0]]


Draw = Callable[[Entry, nn.Module, Tensor], list[Tensor]]
DRAWERS: dict[str, Draw] = {
    "denoise": _denoise,
    "encode": _encode,
    "sparse_code": _sparse_code,
    "stylize": _stylize,
    "restore": _restore,
    "start": _start,
    "sample": _sample,
    "frame": _frame,
    "superres": _superres,
}
"""How each task is shown; a task without an entry is not."""


def _beside(tiles: list[Tensor]) -> Image.Image:
    height = max(tile.shape[1] for tile in tiles)
    width = sum(tile.shape[2] for tile in tiles) + GAP * (len(tiles) - 1)
    canvas = Image.new("RGB", (width, height), "white")
    left = 0
    for tile in tiles:
        pixels = tile.clamp(0, 1).mul(255).round().byte()
        pixels = pixels.expand(3, -1, -1) if pixels.shape[0] == 1 else pixels[:3]
        canvas.paste(Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy()), (left, 0))
        left += tile.shape[2] + GAP
    return canvas
