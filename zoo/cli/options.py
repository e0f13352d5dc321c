"""Options that several verbs have."""

from __future__ import annotations

from typing import Annotated

import typer

Intensity = Annotated[float, typer.Option(help="Strength of the style.")]
Size = Annotated[int | None, typer.Option(help="Longer side of the result in pixels. [default: as it is]")]
StyleSize = Annotated[int | None, typer.Option(help="Longer side of the style: smaller makes finer strokes.")]
Steps = Annotated[int | None, typer.Option(help="Iterations. [default: all of a solver's, 100 of gatys]")]
Stylizer = Annotated[str, typer.Option(help="See `zoo list --task stylize`; auto: the best that is installed.")]
Seed = Annotated[int, typer.Option(help="Seed of the paintings that are drawn by code.")]
