"""The model card below a tab: the registry's record of the chosen model, as markdown."""

from __future__ import annotations

import gradio as gr
from gradio.components import Component

import zoo
from zoo import Entry, catalogue

from .common import guarded
from .tab import Tab


def card_markdown(entry: Entry, python: str = "", cli: str = "") -> str:
    """What the registry knows of a model, as markdown.

    Args:
        entry: The record.
        python: The tab's job in Python, with `{model}` for the name; empty leaves it out.
        cli: The same on the command line.

    Returns:
        Markdown: summary, facts, measured figures beside the paper's, lines to copy, and the written card.
    """
    parts = [f"### `{entry.name}`", f"{entry.summary}.", _facts(entry), _metrics(entry)]
    if python:
        parts.append("**In Python**\n\n```python\n" + python.replace("{model}", entry.name) + "\n```")
    if cli:
        parts.append("**On the command line**\n\n```shell\n" + cli.replace("{model}", entry.name) + "\n```")
    parts.append(catalogue.notes(entry))
    return "\n\n".join(part for part in parts if part)


def _facts(entry: Entry) -> str:
    paper = f"{entry.paper.title}, section {entry.paper.section}"
    if entry.paper.equation:
        paper += f", equation {entry.paper.equation}"
    rows = [
        ("Paper", paper),
        ("Trained on", ", ".join(entry.data) or "nothing: there is no training and there are no weights"),
        ("Licence", entry.licence),
    ]
    if entry.num_params:
        rows.append(("Parameters", f"{entry.num_params:,}".replace(",", " ")))
    if entry.size_bytes:
        rows.append(("Weights", f"{entry.size_bytes / 1e6:.1f} MB"))
    if entry.training:
        made = entry.training
        rows.append(("Training", f"{made.hours:g} h on {made.hardware}, seed {made.seed}"))
    return "| | |\n|---|---|\n" + "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows)


def _metrics(entry: Entry) -> str:
    if not entry.metrics:
        return ""
    head = "| Data | Measure | Here | In the paper | Settings |\n|---|---|---:|---:|---|\n"
    return head + "\n".join(
        f"| {_cell(row.dataset)} | {_cell(row.metric)} | {row.value:g} | "
        f"{'–' if row.paper_value is None else f'{row.paper_value:g}'} | {_cell(row.settings)} |"
        for row in entry.metrics
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def card_panel(tab: Tab, choice: Component | None) -> None:
    """Lays out the folded card of a tab, which follows `choice` where there is one."""

    @guarded
    def show(model: str) -> str:
        return card_markdown(zoo.info(model), tab.python, tab.cli)

    with gr.Accordion("About this model", open=tab.card_open, elem_classes="card-panel"):
        card = gr.Markdown(show(tab.models[0]), elem_classes="card", elem_id=f"{tab.slug}-card")
    if choice is not None:
        choice.change(show, choice, card, show_progress="hidden", queue=False, api_visibility="private")  # type: ignore[attr-defined]
