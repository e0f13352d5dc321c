"""The lines under a result: what is going on, and what came out, as HTML and as figures of a denoiser."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from zoo.tasks.denoise import DenoiseInfo

    from .pictures import Noisy, Picture


class Figure(NamedTuple):
    """One figure of a result."""

    name: str
    value: str
    remark: str = ""
    gain: bool = False
    """Whether it says how much better things got, and deserves the accent colour."""


def status_html(text: str, progress: float | None = None) -> str:
    """A line that says what is going on, read aloud by screen readers, with a bar for `progress` in [0, 1]."""
    bar = "" if progress is None else f'<progress max="1" value="{progress:.3f}" aria-label="progress"></progress>'
    return f'<div class="status" role="status">{html.escape(text)}{bar}</div>'


def figures_html(figures: list[Figure]) -> str:
    """Figures side by side, as a list of definitions."""
    cells = []
    for figure in figures:
        remark = f" <small>{html.escape(figure.remark)}</small>" if figure.remark else ""
        emphasis = ' class="gain"' if figure.gain else ""
        name, value = html.escape(figure.name), html.escape(figure.value)
        cells.append(f"<div{emphasis}><dt>{name}</dt><dd>{value}{remark}</dd></div>")
    return f'<dl class="figures">{"".join(cells)}</dl>'


def quality(info: DenoiseInfo, picture: Picture, noisy: Noisy) -> list[Figure]:
    """The noise level, λ if the model has one and, where the clean picture is known, PSNR and SSIM before and after."""
    level = (f"{noisy.sigma:g}", "added") if noisy.sigma > 0 else (f"{picture.sigma:.1f}", "estimated")
    figures = [Figure("Noise σ", *level)]
    if info.lam is not None:
        figures.append(Figure("Strength λ", f"{info.lam:.4f}", "by hand" if info.sigma is None else "from σ"))
    if info.psnr is not None and info.psnr_noisy is not None:
        figures.append(Figure("PSNR", f"{info.psnr:.2f}", f"dB, from {info.psnr_noisy:.2f}", gain=True))
    if info.ssim is not None and noisy.ssim is not None:
        figures.append(Figure("SSIM", f"{info.ssim:.3f}", f"from {noisy.ssim:.3f}", gain=True))
    return figures


def effort(info: DenoiseInfo) -> list[Figure]:
    """How close to the minimum the solver came; nothing for a network, which minimises nothing when it is used."""
    if info.relative_gap is None or info.gap is None:
        return []
    remark = f"{info.iterations} iterations"
    return [Figure("Relative gap", f"{info.relative_gap:.1e}", remark), Figure("Duality gap", f"{info.gap:.2g}")]


def summary(info: DenoiseInfo) -> str:
    """How long it took and with which kernels or network, and what is to be said against that network."""
    if info.gap is None:
        return f"Denoised in {info.seconds:.2f} s by {info.model}" + (f"; {info.warning}." if info.warning else ".")
    kernels = "compiled kernels" if info.backend == "compiled" else "the PyTorch reference"
    return f"Solved in {info.seconds:.2f} s with {kernels}."


def progress(info: DenoiseInfo) -> str:
    """What is going on between two steps."""
    if info.relative_gap is None:
        return f"Denoising with {info.model}, part by part"
    return f"Solving: {info.iterations} iterations, relative gap {info.relative_gap:.1e}"
