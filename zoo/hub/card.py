"""The README of a published model: a template filled from the registry's record, with the Hub's front matter."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Any

from .. import catalogue
from ..entry import Entry

TEMPLATE = Path(__file__).parent / "templates" / "model_card.md"
PACKAGE = "neural-solver-zoo"
# SPDX names that the Hub has under the same name in lower case; any other is "other" with a name and a link
LICENCES = {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc0-1.0"}
FEATURES = {"encode", "sparse_code"}
"""Tasks that give features and not a picture."""
TAGS = {
    "denoise": "denoising",
    "encode": "feature-extraction",
    "sparse_code": "sparse-coding",
    "stylize": "style-transfer",
    "restore": "image-restoration",
}


def model_readme(entry: Entry, repo: str, plug_in: str | None = None, sample: str | None = None) -> str:
    """The README.md of a repository.

    Args:
        entry: The record of a model with weights.
        repo: `org/name`, where it will be.
        plug_in: The distribution that brings the architecture; None: the zoo itself.
        sample: File name of a picture in the repository.
    """
    from huggingface_hub import ModelCard

    paper = f"{entry.paper.title}, section {entry.paper.section}"
    paper += f", equation {entry.paper.equation}" if entry.paper.equation else ""
    body = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=entry.stored_name,
        summary=entry.summary.rstrip("."),
        paper=paper,
        sample=f"\n![What the model makes of a picture]({sample})\n" if sample else "",
        repo=repo,
        package=plug_in or PACKAGE,
        takes=_takes(entry),
        training=_training(entry),
        evaluation=_evaluation(entry),
        limits=_limits(entry),
        notes=f"\n{catalogue.notes(entry)}\n",
        licence=entry.licence,
    )
    return str(ModelCard(f"---\n{_front_matter(entry)}\n---\n{body}"))


def _front_matter(entry: Entry) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    spdx = entry.licence.lower()
    licence: dict[str, Any] = {"license": spdx}
    if spdx not in LICENCES:
        link = f"https://spdx.org/licenses/{entry.licence}.html"
        licence = {"license": "other", "license_name": _slug(entry.licence), "license_link": link}
    pipeline = "image-feature-extraction" if FEATURES & set(entry.tasks) else "image-to-image"
    results = [
        EvalResult(
            task_type=pipeline,
            dataset_type=_slug(metric.dataset),
            dataset_name=f"{metric.dataset} ({metric.settings})" if metric.settings else metric.dataset,
            metric_type=_slug(metric.metric),
            metric_name=metric.metric,
            metric_value=metric.value,
        )
        for metric in entry.metrics
    ]
    data = ModelCardData(
        model_name=entry.stored_name,
        library_name=PACKAGE,
        pipeline_tag=pipeline,
        tags=sorted({TAGS.get(task, _slug(task)) for task in entry.tasks} | {PACKAGE}),
        eval_results=results or None,
        ignore_metadata_errors=False,
        **licence,
    )
    return data.to_yaml().strip()


def _takes(entry: Entry) -> str:
    low, high = entry.input.range
    channels = "any number of channels" if entry.input.channels is None else f"{entry.input.channels} channels"
    text = f"A float tensor with {channels} and values from {low:g} to {high:g}"
    if entry.input.min_size > 1:
        text += f", at least {entry.input.min_size}x{entry.input.min_size}"
    if entry.input.multiple_of > 1:
        text += f", height and width multiples of {entry.input.multiple_of}"
    return text + ("." if entry.input.control is None else f"; its second argument is {entry.input.control}.")


def _training(entry: Entry) -> str:
    text = f"Data: {', '.join(entry.data)}." if entry.data else "No data were used."
    if entry.training:
        made = entry.training
        text += f" {made.hours:g} h on {made.hardware}, seed {made.seed}.{entry.begun}"
    return text


def _evaluation(entry: Entry) -> str:
    if not entry.metrics:
        return "Nothing was measured."
    rows = ["| data | measure | here | in the paper | settings |", "|---|---|---:|---:|---|"]
    for metric in entry.metrics:
        paper = "" if metric.paper_value is None else f"{metric.paper_value:g}"
        cells = (metric.dataset, metric.metric, f"{metric.value:g}", paper, metric.settings)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def _limits(entry: Entry) -> str:
    half = "Half precision works." if entry.supports_half else "Half precision does not work."
    return f"It was trained on the data above, and nothing is promised of others. {half}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
