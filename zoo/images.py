"""Pictures in, pictures out: PIL, numpy and torch all become (B, C, H, W) float tensors in [0, 1], and back again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

MAX_PIXELS = 40_000_000
"""Largest height × width that the tasks accept unless told otherwise."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".gif")
# float pictures may leave [0, 1] a little, e.g. with noise on them; beyond this they must be in 0..255
_FLOAT_LIMIT = 4.0


@dataclass(frozen=True)
class Picture:
    """An image as the models take it, and the way back to what the caller gave."""

    tensor: Tensor
    """(B, C, H, W), float32 (float64 if the caller's was), in [0, 1]; without alpha."""
    restore: Callable[[Tensor], Any]
    """Turns a tensor like `tensor` into the caller's kind of image, with its alpha channel."""
    batched: bool
    """Whether the caller gave a batch, a 4-D tensor."""


def to_picture(image: Any, name: str = "image", max_pixels: int | None = MAX_PIXELS) -> Picture:
    """Accept an image of any common kind.

    Args:
        image: One of
            PIL image: RGB, L, RGBA, LA, P, CMYK, 1, I;16, I and F among others. EXIF orientation is applied. The way
            back gives RGB, L, I;16, I or F, with the alpha channel where there was one; colour modes that are none
            of these come back as RGB;
            numpy array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) with alpha last; uint8, uint16 or float in [0, 1];
            tensor: (C, H, W) or (B, C, H, W), uint8 or float in [0, 1]; every channel is taken as picture.
        name: What to call it in messages.
        max_pixels: Limit on height × width; None: no limit.

    Returns:
        The tensor and the way back: same kind, shape, data type and device.

    Raises:
        TypeError: another type, data type or mode.
        ValueError: another shape, no pixels, too many, NaN or infinity, or floats that look like 0..255.
    """
    restore: Callable[[Tensor], Any]
    if isinstance(image, Image.Image):
        _check_size(image.height, image.width, max_pixels, name)
        tensor, restore = _from_pil(image)
    elif isinstance(image, np.ndarray):
        tensor, restore = _from_numpy(image, max_pixels, name)
    elif isinstance(image, Tensor):
        tensor, restore = _from_tensor(image, max_pixels, name)
    else:
        raise TypeError(f"{name}: a PIL image, a numpy array or a torch tensor, not {type(image).__name__}")
    _check_values(tensor, name)
    return Picture(tensor, restore, isinstance(image, Tensor) and image.ndim == 4)


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """Open an image file, whole.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an image, or a damaged one.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a readable image ({error})") from error


def write_png(path: str | os.PathLike[str], image: Image.Image) -> None:
    """Write a lossless PNG, complete or not at all, with the picture's colour profile."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        image.save(part, format="PNG", icc_profile=image.info.get("icc_profile"))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def rows_of(*rows: Tensor) -> Tensor:
    """Batches of pictures (B, C, H, W) as one picture (C, ΣH, B·W), each batch a row, float32 on the CPU."""
    return torch.cat([torch.cat(list(row.float().cpu()), 2) for row in rows], 1)


def as_pil(picture: Tensor) -> Image.Image:
    """A picture (3, H, W) in [0, 1], rounded and clipped to 8 bits, as PIL image."""
    pixels = picture.detach().float().cpu().clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def _check_size(height: int, width: int, max_pixels: int | None, name: str) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"{name}: has no pixels ({width}×{height})")
    if max_pixels is not None and height * width > max_pixels:
        raise ValueError(
            f"{name}: {width}×{height} is {height * width / 1e6:.1f} megapixels, the limit is {max_pixels / 1e6:g}; "
            "make it smaller or raise max_pixels"
        )


def _check_values(tensor: Tensor, name: str) -> None:
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name}: has NaN or infinite pixels")
    if (largest := float(tensor.abs().max())) > _FLOAT_LIMIT:
        raise ValueError(f"{name}: float pixels must be in [0, 1], the largest is {largest:g}; divide by 255 first?")


def _scale(array: np.ndarray, full: float) -> Tensor:
    """Integer pixels, (H, W) or (H, W, C), to (1, C, H, W) in [0, 1]."""
    array = array[..., None] if array.ndim == 2 else array
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)).astype(np.float32)).div_(full)[None]


def _unscale(tensor: Tensor, full: int, dtype: type) -> np.ndarray:
    """(1, C, H, W) in [0, 1] to integer pixels (H, W, C), rounded and clipped."""
    array = tensor[0].detach().cpu().double().clamp(0, 1).mul(full).round().numpy()
    return array.transpose(1, 2, 0).astype(dtype)


def _from_pil(image: Image.Image) -> tuple[Tensor, Callable[[Tensor], Image.Image]]:
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        return _from_pil_16(image, profile)
    if image.mode == "F":
        pixels = torch.from_numpy(np.array(image, dtype=np.float32))[None, None]
        return pixels, lambda tensor: Image.fromarray(tensor[0, 0].detach().cpu().float().numpy())
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode in ("1", "L", "La", "LA"):
        grey_alpha = image.mode in ("La", "LA") or "transparency" in image.info
        image = image.convert("LA" if grey_alpha else "L")
    elif image.mode != "RGB":
        # a CMYK profile means nothing once the pixels are RGB
        profile = None if image.mode == "CMYK" else profile
        image = image.convert("RGBA" if image.mode in ("RGBA", "RGBa", "PA") else "RGB")
    elif "transparency" in image.info:
        image = image.convert("RGBA")
    alpha = image.getchannel("A") if "A" in image.getbands() else None
    colour = image.convert("L" if image.mode in ("L", "LA") else "RGB") if alpha else image

    def restore(tensor: Tensor) -> Image.Image:
        array = _unscale(tensor, 255, np.uint8)
        result = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
        if alpha is not None:
            result.putalpha(alpha)
        return _with_profile(result, profile)

    return _scale(np.array(colour), 255.0), restore


def _from_pil_16(image: Image.Image, profile: bytes | None) -> tuple[Tensor, Callable[[Tensor], Image.Image]]:
    pixels = np.array(image)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError("image: pixels of a PIL image of mode I must be in 0..65535")

    def restore(tensor: Tensor) -> Image.Image:
        array = _unscale(tensor, 65535, np.int32 if image.mode == "I" else np.uint16)
        return _with_profile(Image.fromarray(array[..., 0]), profile)

    return _scale(pixels, 65535.0), restore


def _with_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        image.info["icc_profile"] = profile
    return image


def _from_numpy(array: np.ndarray, max_pixels: int | None, name: str) -> tuple[Tensor, Callable[[Tensor], np.ndarray]]:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ValueError(f"{name}: a numpy array must be (H, W) or (H, W, 1, 3 or 4), got {array.shape}")
    _check_size(array.shape[0], array.shape[1], max_pixels, name)
    flat = array.ndim == 2
    alpha = array[..., 3:] if not flat and array.shape[2] == 4 else None
    colour = array[..., :3] if alpha is not None else array
    dtype = array.dtype
    if dtype in (np.uint8, np.uint16):
        full = 255 if dtype == np.uint8 else 65535
        tensor = _scale(colour, full)
    elif dtype in (np.float16, np.float32, np.float64):
        full = None
        planes = colour[..., None] if flat else colour
        planes = np.ascontiguousarray(planes.transpose(2, 0, 1))
        tensor = torch.from_numpy(planes.astype(np.float64 if dtype == np.float64 else np.float32))[None]
    else:
        raise TypeError(f"{name}: a numpy array must be uint8, uint16 or float, not {dtype}")

    def restore(result: Tensor) -> np.ndarray:
        if full is None:
            pixels = result[0].detach().cpu().numpy().transpose(1, 2, 0).astype(dtype)
        else:
            pixels = _unscale(result, full, dtype.type)
        if flat:
            return np.ascontiguousarray(pixels[..., 0])
        return np.ascontiguousarray(pixels if alpha is None else np.concatenate([pixels, alpha], axis=2))

    return tensor, restore


def _from_tensor(image: Tensor, max_pixels: int | None, name: str) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    if image.ndim not in (3, 4):
        raise ValueError(f"{name}: a tensor must be (C, H, W) or (B, C, H, W), got {tuple(image.shape)}")
    if image.numel() == 0:
        raise ValueError(f"{name}: has no pixels, its shape is {tuple(image.shape)}")
    _check_size(image.shape[-2], image.shape[-1], max_pixels, name)
    dtype, device, single = image.dtype, image.device, image.ndim == 3
    if dtype == torch.uint8:
        tensor = image.float().div(255)
    elif dtype.is_floating_point:
        tensor = image.detach().to(torch.float64 if dtype == torch.float64 else torch.float32)
    else:
        raise TypeError(f"{name}: a tensor must be uint8 or float, not {dtype}")

    def restore(result: Tensor) -> Tensor:
        result = result.detach()
        if dtype == torch.uint8:
            result = result.clamp(0, 1).mul(255).round()
        return (result[0] if single else result).to(device=device, dtype=dtype)

    return tensor[None] if single else tensor, restore
