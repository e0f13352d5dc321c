"""`zoo evaluate`: a model's figures on a set of pictures, beside the paper's."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import Json, emit, table, user_errors

if TYPE_CHECKING:
    from torch import nn

    from ..entry import Entry


@user_errors
def evaluate(
    name: Annotated[
        str, typer.Argument(help="Model, arch.tag or arch; or the folder of a finished run: denoisers, image priors.")
    ],
    data: Annotated[Path, typer.Option(help="Folder, .zip or .tar of pictures without noise, or of photographs.")],
    sigma: Annotated[float, typer.Option(help="Noise to add, 0..255 scale.")] = 25.0,
    seed: Annotated[int, typer.Option(help="Seed of the noise; picture i gets seed + i.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Only the first so many pictures.")] = None,
    styles: Annotated[
        Path | None, typer.Option(help="Style transfer: folder or archive of styles. [default: drawn by code]")
    ] = None,
    size: Annotated[int, typer.Option(help="Style transfer: side of the pictures.")] = 256,
    task: Annotated[
        str,
        typer.Option(
            help="Image priors: centre, half, random95, x8, colourise, or all. Models for several jobs: superres."
        ),
    ] = "all",
    steps: Annotated[
        int | None, typer.Option(help="Image priors, super-resolution: steps. [default: the model's]")
    ] = None,
    scale: Annotated[int, typer.Option(help="Super-resolution: 2, 3 or 4.")] = 3,
    space: Annotated[str | None, typer.Option(help="Image priors: z fits a latent model in z.")] = None,
    start: Annotated[
        str, typer.Option(help="Image priors: encoder, or seed: without the feed-forward start.")
    ] = "encoder",
    pull: Annotated[
        float | None, typer.Option(help="Image priors: weight of the prior about the start. [default: the model's]")
    ] = None,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda.")] = "cpu",
    json: Json = False,
) -> None:
    """Measure a model: denoisers, style transfer, image priors, texture super-resolution, each by its own figures."""
    from .. import registry
    from ..evaluation.denoising import evaluate_denoiser, mean_scores

    entry, model = _run(Path(name)) if Path(name).is_dir() else (registry.info(name), name)
    if "superres" in entry.tasks and (task == "superres" or entry.tasks == ("superres",)):
        from .evaluate_superres import evaluate_superres

        evaluate_superres(entry.name, data, scale, steps, seed, limit, device, json)
        return
    if "stylize" in entry.tasks:
        from .evaluate_style import evaluate_style

        evaluate_style(entry.name, data, styles, size, limit, device, json)
        return
    if "restore" in entry.tasks:
        from .evaluate_restore import evaluate_restore

        fit = {"steps": steps, "space": space, "start": start, "pull": pull}
        evaluate_restore(entry.name, model, data, task, fit, seed, limit, device, json)
        return
    scores = []
    live = sys.stderr.isatty()
    for score in evaluate_denoiser(model, data, sigma, seed=seed, limit=limit, name=entry.name, device=device):
        scores.append(score)
        if live:
            print(f"\r\x1b[K{len(scores)}: {score.image}  {score.psnr:.2f} dB", end="", file=sys.stderr, flush=True)
    if live:
        print("\r\x1b[K", end="", file=sys.stderr)
    means = mean_scores(scores, entry.name, data, sigma, seed)
    if json:
        emit(
            {
                "model": entry.name,
                "data": str(data),
                "sigma": sigma,
                "seed": seed,
                "images": [score.to_dict() for score in scores],
                "mean": means,
            }
        )
        return
    rows = [("picture", "PSNR", "SSIM", "noisy", "")]
    for score in scores:
        ssim = "" if score.ssim is None else f"{score.ssim:.4f}"
        rows.append((score.image, f"{score.psnr:.2f}", ssim, f"{score.psnr_noisy:.2f}", ""))
    shown = {record["metric"]: record for record in means}
    paper = shown["PSNR"]["paper_value"]
    ssim = f"{shown['SSIM']['value']:.4f}" if "SSIM" in shown else ""
    rows.append(("mean", f"{shown['PSNR']['value']:.2f}", ssim, "", f"paper {paper:g}" if paper else ""))
    table(rows)


def _run(folder: Path) -> tuple[Entry, nn.Module]:
    """The entry and the model that a training run left, whether or not it is installed."""
    from ..hub.located import load_located

    entry, model = load_located(folder)
    if not {"restore", "denoise"} & {*entry.tasks} or entry.input.control == "lam":
        raise ValueError(f"name: {folder} holds {entry.name}, which must be installed to be measured")
    return entry, model
