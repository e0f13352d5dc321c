"""Finding models by words, and which of them are here; what `zoo list --search` and the page's table show."""

from __future__ import annotations

from . import registry
from .entry import Entry

AFTER_NOTES = "\n## Licence and source"
"""What follows the notes in `hub/templates/model_card.md`."""


def find(text: str = "", task: str | None = None, *, pulled: bool = False) -> list[Entry]:
    """The models that fit, sorted by name.

    Args:
        text: Words; each must be somewhere in the name, the summary, the tasks, the paper, the data or the licence.
        task: Only those for this task.
        pulled: Also those of the Hub that `zoo pull` has fetched and that are in no registry.
    """
    entries = [registry.info(name) for name in registry.list_models(task=task)]
    if pulled:
        from .hub.cache import pulled_entries

        entries += [entry for entry in pulled_entries() if task is None or task in entry.tasks]
    words = text.lower().split()
    return [entry for entry in entries if all(word in _text(entry) for word in words)]


def tasks() -> list[str]:
    """The tasks that some model is for, sorted."""
    return sorted({task for name in registry.list_models() for task in registry.info(name).tasks})


def figures(entry: Entry, most: int = 2) -> str:
    """The first measured figures beside the paper's, as one line; empty if nothing was measured."""
    shown = []
    for metric in entry.metrics[:most]:
        paper = f" (paper {metric.paper_value:g})" if metric.paper_value is not None else ""
        shown.append(f"{metric.metric} {metric.value:g}{paper}, {metric.dataset}")
    left = len(entry.metrics) - most
    return "; ".join(shown) + (f"; {left} more" if left > 0 else "")


def size(entry: Entry) -> str:
    """The size of the weights, in words."""
    if not entry.size_bytes:
        return "no weights"
    return f"{entry.size_bytes / 1e6:.1f} MB" if entry.size_bytes >= 1e5 else f"{entry.size_bytes / 1e3:.1f} kB"


def notes(entry: Entry) -> str:
    """What the card says beyond the record, from the fourth level of headings on; empty if it says no more."""
    text = entry.card.strip()
    if not text.startswith("####"):  # of a repository: what stands between the parts of the template
        _, mark, rest = text.partition("\n#### ")
        text = (mark + rest).partition(AFTER_NOTES)[0].strip()
    return text


def at_hand(entry: Entry) -> bool:
    """Whether a model works without a connection: it has no weights, or they are bundled or in the local cache."""
    from .hub import client

    path = registry.weights_path(entry)
    if path is None or path.is_file():
        return True
    if entry.hub is None:
        return False
    repo, revision = client.split_repo(entry.hub)
    return client.cached(repo, client.WEIGHTS_FILE, revision) is not None


def _text(entry: Entry) -> str:
    parts = (entry.name, entry.summary, *entry.tasks, entry.paper.title, *entry.data, entry.licence)
    return " ".join(parts).lower()
