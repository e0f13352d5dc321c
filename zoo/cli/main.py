"""The verbs. Each is a thin face of a function elsewhere, imported when the verb runs so that `zoo --help` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import cache
from .deploy import deploy
from .evaluate import evaluate
from .export import export
from .mirror import mirror
from .output import Json, emit, show, table, user_errors
from .photo import photo
from .publish import publish
from .pull import pull
from .restore import interpolate, restore, sample
from .stylize import stylize
from .superres import superres
from .train import train
from .verify import verify
from .video import video

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Imaging models that are solvers: list them, look at them, use them.",
)

Pattern = Annotated[str, typer.Argument(help="Shell-style pattern on the name, e.g. 'tv2d.*'.")]
Name = Annotated[str, typer.Argument(help="Model, arch.tag or arch.")]


def _version(value: bool) -> None:
    if value:
        from .. import __version__

        typer.echo(__version__)
        raise typer.Exit


app.command()(train)
app.command()(evaluate)
app.command()(stylize)
app.command()(photo)
app.command()(video)
app.command()(restore)
app.command()(superres)
app.command()(sample)
app.command()(interpolate)
for verb in (pull, verify, export, publish, mirror, deploy):
    app.command()(verb)
app.add_typer(cache.app, name="cache")


@app.callback()
def _root(
    context: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Never go to the network; as HF_HUB_OFFLINE=1.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    if offline:
        from ..hub.client import offline_mode

        context.with_resource(offline_mode())


@app.command("list")
@user_errors
def list_(
    pattern: Pattern = "*",
    task: Annotated[str | None, typer.Option(help="Only models for this task, e.g. denoise.")] = None,
    search: Annotated[str, typer.Option(help="Words that the record must hold: task, paper, data, licence.")] = "",
    json: Json = False,
) -> None:
    """List the models."""
    from .. import catalogue, registry

    names = set(registry.list_models(pattern, task))
    entries = [entry for entry in catalogue.find(search, task) if entry.name in names]
    if json:
        emit([entry.to_dict() for entry in entries])
        return
    if not entries:
        typer.echo("no model fits; `zoo list` shows all", err=True)
    table([(entry.name, ",".join(entry.tasks), catalogue.size(entry), entry.summary) for entry in entries])


@app.command()
@user_errors
def info(name: Name, json: Json = False) -> None:
    """Show what is known about a model."""
    from .. import catalogue, registry

    entry = registry.info(name)
    if json:
        emit(entry.to_dict())
        return
    paper = f"{entry.paper.title}, section {entry.paper.section}"
    paper += f", equation {entry.paper.equation}" if entry.paper.equation else ""
    channels = "any number of channels" if entry.input.channels is None else f"{entry.input.channels} channels"
    size = f"at least {entry.input.min_size}×{entry.input.min_size} pixels"
    low, high = entry.input.range
    rows = [
        ("name", entry.name),
        ("summary", entry.summary),
        ("tasks", ", ".join(entry.tasks)),
        ("paper", paper),
        ("licence", entry.licence),
        ("weights", catalogue.size(entry)),
        ("parameters", f"{entry.num_params:,}"),
        ("input", f"{channels}, {size}, values {low:g} to {high:g}"),
        ("control", entry.input.control or "none"),
        ("config", ", ".join(f"{key}={value!r}" for key, value in entry.config.items())),
    ]
    if entry.data:
        rows.append(("trained on", ", ".join(entry.data)))
    if entry.training:
        rows.append(("training", f"{entry.training.hours:g} h, {entry.training.hardware}, seed {entry.training.seed}"))
    for metric in entry.metrics:
        paper_value = f" (paper {metric.paper_value:g})" if metric.paper_value is not None else ""
        rows.append(("measured", f"{metric.metric} {metric.value:g}{paper_value}, {metric.dataset}, {metric.settings}"))
    table(rows)
    if entry.card:
        typer.echo(f"\n{entry.card.strip()}")


@app.command()
@user_errors
def doctor(json: Json = False) -> None:
    """Show what is installed, which kernels are in use and why, and whether the bundled weights are whole."""
    from . import doctor as examination

    report = examination.examine()
    if json:
        emit(report)
    else:
        table(examination.lines(report))
    if not report["healthy"]:
        raise typer.Exit(1)


@app.command()
@user_errors
def denoise(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Pictures, or one folder of pictures.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="PNG to write; a folder for several pictures. [default: NAME_denoised.png]"
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="See `zoo list --task denoise`; auto: the network trained for this noise level, if one is on this "
            "machine, else total variation."
        ),
    ] = "auto",
    lam: Annotated[
        float | None,
        typer.Option(help="Strength λ of total variation, for pixels in 0..1. [default: from sigma]"),
    ] = None,
    sigma: Annotated[float | None, typer.Option(help="Noise level, 0..255 scale. [default: estimated]")] = None,
    add_noise: Annotated[
        float | None, typer.Option(help="First add noise of this level, 0..255 scale; then PSNR and SSIM are shown.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the added noise.")] = 0,
    reference: Annotated[Path | None, typer.Option(help="Clean picture to measure against.")] = None,
    json: Json = False,
) -> None:
    """Remove white Gaussian noise from pictures. Writes lossless PNG and never overwrites an input.

    The grain of compressed pictures and of phones is not white Gaussian noise, and most of it stays.
    """
    from .denoise import run

    records = run(inputs, output, model, lam, sigma, add_noise, seed, reference)
    show(records, _record, json)


def _record(record: dict[str, object]) -> tuple[str, ...]:
    def shown(key: str, unit: str, digits: int) -> str:
        value = record[key]
        return f"{value:.{digits}f}{unit}" if isinstance(value, float) else ""

    sigma = record["sigma"]
    noise = f"sigma {sigma:.1f}{' (estimated)' if record['sigma_estimated'] else ''}" if sigma is not None else ""
    psnr = f"{shown('psnr_noisy', '', 2)} -> {shown('psnr', ' dB', 2)}" if record["psnr"] is not None else ""
    ssim = f"SSIM {shown('ssim', '', 4)}" if record["ssim"] is not None else ""
    lam = f"lam {shown('lam', '', 4)}" if record["lam"] is not None else ""
    return (str(record["output"]), str(record["model"]), lam, noise, psnr, ssim, shown("seconds", " s", 2))
