"""The README's table of models, from the registry: `python docs/model_table.py` writes it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TABLE = re.compile(r"(?<=<!-- models: written by docs/model_table.py -->\n).*?(?=<!-- /models -->)", re.DOTALL)

# the package of this checkout, whatever else is installed
sys.path.insert(0, str(ROOT))

import zoo  # noqa: E402


def model_table() -> str:
    """One row a model, in the order of the names, as markdown."""
    rows = ["| Model | For | What it is | From | Weights |", "|---|---|---|---|---|"]
    for name in zoo.list_models():
        entry = zoo.info(name)
        source = f"{entry.paper.title}, section {entry.paper.section}"
        source += f", equation {entry.paper.equation}" if entry.paper.equation else ""
        weights = f"{entry.size_bytes / 1e6:.1f} MB" if entry.size_bytes else "none"
        cells = (f"`{name}`", ", ".join(entry.tasks), entry.summary, source, weights)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(TABLE.sub(lambda _: model_table(), text), encoding="utf-8")
