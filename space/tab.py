"""What a tab is: one record, made by one file of `space/tabs`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gradio.components import Component


@dataclass(frozen=True)
class Tab:
    """One page of the app. A file of `space/tabs` defines `TAB`, and `space/tabs/__init__.py` lists it."""

    title: str
    """What the tab is called, on its handle."""
    slug: str
    """Its name in addresses and element ids, in lower case with hyphens."""
    description: str
    """One or two sentences above the controls, plain text."""
    models: tuple[str, ...]
    """Registry names of the models it offers; the first is the one it starts with."""
    build: Callable[[], Component | None]
    """Lays out the controls and the events. Returns the control whose value names the chosen model, for the model card
    below to follow; None where there is nothing to follow."""
    warm_up: Callable[[], None] | None = None
    """Loads the models and runs them once; called in the background when the page is up."""
    python: str = ""
    """The same job in Python, with `{model}` for the chosen name."""
    cli: str = ""
    """The same job on the command line, with `{model}` for the chosen name."""
    card_open: bool = False
    """Whether the model card below is unfolded from the start."""
