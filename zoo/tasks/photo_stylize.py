"""Photo style transfer: the colours and the light of one photograph on another, whose lines stay where they are."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..images import MAX_PIXELS
from ..metrics import edge_ssim
from ..photo.labels import Label, cut_out, matched
from ..prox import Photorealism
from ..prox.base import check_lam
from ..style.regional import masked_targets
from ..stylize import engines
from ..stylize.engines import Job
from ..stylize.pictures import Content, open_content
from ..stylize.prepared import EVERYWHERE, Prepared, prepare
from ..stylize.ranking import AUTO
from ..stylize.regions import Region
from .stylize import StylizeLoss, as_loss

LAM = 50.0
"""λ_L of Puy & Pérez 2019, section 5.4."""
METHODS = ("auto", "prox", "luan", "smooth")
SMOOTH_TOL = 1e-5
"""Relative residual at which the smoothing afterwards counts as solved."""


@dataclass(frozen=True)
class PhotoInfo:
    """What was done to a photograph."""

    engine: str
    """The model that did it."""
    reason: str
    """Why this one."""
    method: str
    """"prox", "luan" or "smooth"."""
    encoder: str | None
    lam: float
    settings: dict[str, Any]
    """Of the engine, as `StylizeSettings.to_dict`."""
    labels: tuple[tuple[int, int, int], ...]
    """Colours of the regions that content and style have in common; none without maps."""
    height: int
    width: int
    iterations: int
    seconds: float
    """The style's Gram matrices and the matting Laplacian included, the measurement not."""
    edge_ssim: float | None = None
    """`zoo.metrics.edge_ssim` of result and content; None before the end and below 11 pixels."""
    loss: StylizeLoss | None = None
    """L_TV reached, with a style for each label; None before the end and for engines without an encoder."""
    loss_before: StylizeLoss | None = None
    """Of the content as it is."""

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-able data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class PhotoStep:
    """A state on the way to the result."""

    image: Any
    """Of the kind that was given."""
    iteration: int
    """0 is the content."""
    progress: float
    """0 … 1; 1 at the end."""
    info: PhotoInfo
    done: bool


def photo_stylize(
    content: Any,
    style: Any = None,
    content_mask: Any = None,
    style_mask: Any = None,
    lam: float = LAM,
    *,
    method: str = "auto",
    model: str | nn.Module = AUTO,
    intensity: float = 1.0,
    size: int | None = None,
    style_size: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    encoder: str | None = None,
    measure: bool = True,
    return_info: bool = False,
    device: str | torch.device | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Any:
    """Give a photograph the colours and the light of another one, and keep it a photograph.

    Photorealism is the matting Laplacian L of the content: xᵀLx is small where a picture is, in every 3×3 window, an
    affine function of the content's colours, so that lines stay straight and nothing is painted.

    Args:
        content: PIL image, numpy array or tensor, see `zoo.images.to_picture`; from 16×16 pixels.
        style: A picture of these kinds, or "gallery:NAME". A network of a single style takes that one.
        content_mask, style_mask: Segmentation maps, pictures of any size in which each colour is a region. A region of
            the content takes after the style's region of the same colour, the rest after the whole style.
        lam: λ_L ≥ 0 of photorealism; 0 is none. The paper's is 50.
        method: "prox": (I + 2 lam L)⁻¹ after each update of a solver, once after a network of one pass (Puy & Pérez
            2019, section 4.2.1). "luan": lam times the mean of xLx is added to the loss of the optimisation (Luan et
            al. 2017). "smooth": any engine, and (I + 2 lam L)⁻¹ afterwards, solved by conjugate gradients (in the
            manner of PhotoWCT, Li et al. 2018). "auto": "luan" for the optimisation, else "prox".
        model: An entry of the registry for the task "stylize", a module, or "auto": the best of those installed, for
            "luan" the optimisation.
        intensity: ≥ 0, 1 as trained; see `zoo.tasks.stylize`.
        size: Longer side to work and return the content at, pixels. None: as it is.
        style_size: The same of the style.
        steps: Iterations; None: all that a solver has, 100 of the optimisation.
        seed: Of gallery paintings.
        encoder: Perceptual encoder of the optimisation, a name.
        measure: Whether to compute the loss and the likeness of the edges.
        return_info: Also return the record.
        device: Where to compute; None: where the tensor is, for other kinds CUDA if there is one.
        max_pixels: Limit on height × width of every picture as given; None: no limit.

    Returns:
        The picture, of the kind and type that was given; grey ones come back in colour. With `return_info` also a
        `PhotoInfo`.

    Raises:
        TypeError: a type that is not accepted.
        ValueError: bad pixels, sizes or numbers; one map without the other, or maps without a common colour; a method
            that the engine does not have.
    """
    for step in photo_stylize_steps(
        content,
        style,
        content_mask,
        style_mask,
        lam,
        method=method,
        model=model,
        intensity=intensity,
        size=size,
        style_size=style_size,
        steps=steps,
        seed=seed,
        encoder=encoder,
        measure=measure,
        device=device,
        max_pixels=max_pixels,
    ):
        last = step
    return (last.image, last.info) if return_info else last.image


def photo_stylize_steps(
    content: Any,
    style: Any = None,
    content_mask: Any = None,
    style_mask: Any = None,
    lam: float = LAM,
    *,
    method: str = "auto",
    model: str | nn.Module = AUTO,
    intensity: float = 1.0,
    size: int | None = None,
    style_size: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    encoder: str | None = None,
    measure: bool = True,
    device: str | torch.device | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Iterator[PhotoStep]:
    """`photo_stylize` in steps: the content, then each iteration, so that it can be watched and stopped.

    Args:
        As in `photo_stylize`.

    Returns:
        An iterator of `PhotoStep`; the last has `done` and the result. Arguments are checked at once.

    Raises:
        TypeError, ValueError: as in `photo_stylize`.
    """
    check_lam(lam)
    if method not in METHODS:
        raise ValueError(f"method: one of {', '.join(METHODS)}, got {method!r}")
    if (content_mask is None) != (style_mask is None):
        raise ValueError("content_mask, style_mask: both or none; a region takes after that of the same colour")
    picture = open_content(content, size, False, max_pixels)
    if len(picture.tensor) != 1:
        raise ValueError(f"content: one picture, got a batch of {len(picture.tensor)}")
    if device is None and not isinstance(content, Tensor):
        device = "cuda" if torch.cuda.is_available() else "cpu"
    place = torch.device(device) if device is not None else picture.tensor.device
    height, width = picture.tensor.shape[-2:]
    engine = prepare(
        style,
        (height, width),
        model=model,
        optimise=method == "luan",
        intensity=intensity,
        longer=size,
        style_size=style_size,
        steps=steps,
        seed=seed,
        encoder=encoder,
        place=place,
        max_pixels=max_pixels,
    )
    method = chosen_method(method, engine.kind)
    labels: list[Label] = []
    if content_mask is not None:
        tall, wide = engine.style.shape[-2:]
        labels = matched(content_mask, style_mask, (height, width), (tall, wide), max_pixels)
    return _steps(picture, engine, labels, method, float(lam), measure, place)


def chosen_method(method: str, kind: str) -> str:
    """The method for a kind of engine (`zoo.stylize.engines.kind`).

    Raises:
        ValueError: this kind does not have it.
    """
    optimised = kind == "optimisation"
    if method == "auto":
        return "luan" if optimised else "prox"
    if method == "luan" and not optimised:
        raise ValueError('method: "luan" is for the optimisation (gatys); others have "prox" and "smooth"')
    if method == "prox" and optimised:
        raise ValueError('method: the optimisation has "luan" and "smooth"; "prox" is for solvers and networks')
    return method


@torch.no_grad()
def _steps(
    picture: Content, engine: Prepared, labels: list[Label], method: str, lam: float, measure: bool, place: torch.device
) -> Iterator[PhotoStep]:
    content = picture.tensor.to(place)
    base = PhotoInfo(
        engine=engine.choice.name,
        reason=engine.choice.reason,
        method=method,
        encoder=engine.encoder_name,
        lam=lam,
        settings=engine.settings.to_dict(),
        labels=tuple(label.colour for label in labels),
        height=content.shape[2],
        width=content.shape[3],
        iterations=0,
        seconds=0.0,
    )
    start = time.perf_counter()
    smooth = Photorealism(content, lam) if lam > 0 and method != "smooth" else None
    job = job_for(engine, content, labels, smooth, method)
    for state in engine.states(job):
        info = dataclasses.replace(
            base, iterations=state.iteration, seconds=time.perf_counter() - start, loss=as_loss(state.terms)
        )
        image = state.image
        if not state.done:
            yield PhotoStep(picture.restore(image.to(picture.tensor)), state.iteration, state.progress, info, False)
    if method == "smooth" and lam > 0:
        image = Photorealism(content, lam, "cg", tol=SMOOTH_TOL)(image).clamp(0, 1)
    info = dataclasses.replace(info, seconds=time.perf_counter() - start, loss=None)
    if measure:
        found = engines.measured(job, image)
        likeness = float(edge_ssim(image, content)[0]) if min(content.shape[-2:]) >= 11 else None
        before, after = found if found is not None else (None, None)
        info = dataclasses.replace(info, edge_ssim=likeness, loss=as_loss(after), loss_before=as_loss(before))
    yield PhotoStep(picture.restore(image.to(picture.tensor)), info.iterations, 1.0, info, True)


def job_for(engine: Prepared, content: Tensor, labels: list[Label], smooth: Photorealism | None, method: str) -> Job:
    """What the engine is to do: regions with their styles, and photorealism where the method has it."""
    optimised = engine.kind == "optimisation"
    penalty = smooth.penalty if smooth is not None and optimised else None
    prox = None if optimised else smooth
    if not labels:
        known = engine.grams() if engine.encoder is not None else {}
        return engine.job(content, lambda _: known, prox=prox, penalty=penalty)
    masks = [label.style.to(engine.style) for label in labels]
    regions = [Region((i,), (1.0,), label.content.to(content)) for i, label in enumerate(labels)]
    pictures = [cut_out(engine.style, mask) for mask in masks]
    rest = (1 - sum((label.content for label in labels), torch.zeros(()))).clamp(0, 1).to(content)
    if float(rest.mean()) > 1e-4:  # what no label of the style is for takes after all of it
        masks.append(torch.ones_like(masks[0]))
        regions.append(Region((len(labels),), (1.0,), rest))
        pictures.append(engine.style)
    grams = masked_targets(engine.encoder, engine.style, masks) if engine.encoder is not None else []
    return engine.job(
        content, lambda i: grams[i], regions=regions or EVERYWHERE, pictures=pictures, prox=prox, penalty=penalty
    )
