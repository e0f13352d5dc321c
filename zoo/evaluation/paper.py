"""Figures that the papers print, to stand beside ours."""

from __future__ import annotations

# (architecture, data set, sigma) -> mean PSNR in dB; Yeh et al. 2022, table 6
DENOISING_PSNR = {
    ("dncnn", "cbsd68", 25): 31.24,
    ("dncnn", "cbsd68", 50): 27.95,
    ("dncnn", "kodak24", 25): 32.14,
    ("dncnn", "kodak24", 50): 28.95,
    ("dncnn", "mcmaster", 25): 31.52,
    ("dncnn", "mcmaster", 50): 28.62,
    ("dncnn_tv", "cbsd68", 25): 31.26,
    ("dncnn_tv", "cbsd68", 50): 28.07,
    ("dncnn_tv", "kodak24", 25): 32.15,
    ("dncnn_tv", "kodak24", 50): 29.09,
    ("dncnn_tv", "mcmaster", 25): 32.32,
    ("dncnn_tv", "mcmaster", 50): 29.35,
}


def paper_psnr(model: str, dataset: str, sigma: float) -> float | None:
    """The paper's mean PSNR for `arch.tag` on a data set (file or folder name without suffix), if it gives one."""
    return DENOISING_PSNR.get((model.split(".")[0], dataset.lower(), int(sigma))) if sigma == int(sigma) else None
