"""Model cards, written from the registry's record alone."""

from __future__ import annotations

from ..entry import Entry


def model_card(entry: Entry, steps: int | None = None) -> str:
    """The card of a trained model, markdown.

    Args:
        entry: Its record, with what was measured.
        steps: Steps of training, if known.
    """
    lines = [f"# {entry.name}", "", entry.summary + ".", ""]
    equation = f", equation {entry.paper.equation}" if entry.paper.equation else ""
    lines += [f"From: {entry.paper.title}, section {entry.paper.section}{equation}.", ""]
    lines += ["## Use", "", "```python", "import zoo", "", f'model = zoo.load("{entry.name}")', "```", ""]
    if entry.metrics:
        lines += ["## Measured", "", "| data | metric | ours | paper | settings |", "|---|---|---|---|---|"]
        for metric in entry.metrics:
            paper = "" if metric.paper_value is None else f"{metric.paper_value:g}"
            lines.append(f"| {metric.dataset} | {metric.metric} | {metric.value:g} | {paper} | {metric.settings} |")
        lines.append("")
    if entry.training:
        taken = f", {steps:,} steps" if steps else ""
        again = f" Again: `{entry.training.again}`." if entry.training.again else ""
        lines += [
            "## Training",
            "",
            f"Data: {', '.join(entry.data)}. {entry.training.hours:g} h on {entry.training.hardware}{taken}, "
            f"seed {entry.training.seed}.{entry.begun}{again}",
            "",
        ]
    lines += [
        "## Facts",
        "",
        f"- parameters: {entry.num_params:,}",
        f"- file: {entry.file}, {entry.size_bytes / 1e6:.1f} MB, float16, sha256 `{entry.sha256}`",
        f"- licence: {entry.licence}",
        "",
    ]
    return "\n".join(lines)
