"""Check a model from end to end: its file, its weights, what it computes, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from .. import registry
from ..checkpoints import file_sha256, is_pickled, load_checkpoint
from ..entry import Entry
from ..errors import CheckpointError
from ..loading import unknown_arch
from .located import Located, locate

PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
DOCUMENTS = ("README.md", "LICENSE", "eval.json", "golden.json")
"""What a published folder has beside weights and record."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    what: str
    state: str
    """"ok", "failed" or "skipped"."""
    detail: str = ""


@dataclass(frozen=True)
class Verification:
    """What was found."""

    name: str
    checks: tuple[Check, ...]

    @property
    def good(self) -> bool:
        """Whether nothing failed."""
        return all(check.state != "failed" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        checks = [{"what": one.what, "state": one.state, "detail": one.detail} for one in self.checks]
        return {"name": self.name, "good": self.good, "checks": checks}


def verify(target: str | Path) -> Verification:
    """Check a model: no pickled file, sha256, strict load, golden output, complete card.

    Args:
        target: As in `zoo.hub.located.locate`.

    Raises:
        ValueError, OSError: there is nothing to check: no such model, or its weights are nowhere.
    """
    try:
        model = locate(target)
    except CheckpointError as error:
        return Verification(str(target), (Check("readable", "failed", str(error)),))
    return Verification(model.entry.stored_name, tuple(verify_source(model)))


def verify_source(model: Located) -> Iterator[Check]:
    """The checks of `verify`, one by one."""
    entry = model.entry
    yield _no_pickle(model)
    if model.weights is None:
        yield Check("sha256", "skipped", "the model has no weights")
        module = registry.build(entry.arch, entry.config).eval()
        yield Check("builds", "ok", f"{entry.arch}({', '.join(f'{k}={v!r}' for k, v in entry.config.items())})")
    else:
        if (named := model.weights.stem) != entry.stored_name and named in registry.list_models():
            yield Check("name", "failed", f"{model.weights} holds {entry.stored_name}")
        actual = file_sha256(model.weights)
        if entry.sha256 is None or not model.known:
            yield Check("sha256", "skipped", f"{actual}; no entry says what it should be")
        elif actual != entry.sha256:
            yield Check("sha256", "failed", f"expected {entry.sha256}, found {actual} ({model.weights})")
            return
        else:
            yield Check("sha256", "ok", actual)
        if entry.arch not in registry.list_archs():
            yield Check("strict load", "failed", unknown_arch(entry))
            return
        try:
            module = load_checkpoint(model.weights, name=entry.stored_name, config=entry.config).eval()
        except CheckpointError as error:
            yield Check("strict load", "failed", str(error))
            return
        yield _counted(entry, module, model.weights)
    yield _golden(model, module)
    yield Check("card", "skipped", "no entry describes this file") if not model.known else _card(model)


def _no_pickle(model: Located) -> Check:
    files = [model.weights] if model.folder is None else sorted(p for p in model.folder.rglob("*") if p.is_file())
    bad = [file.name for file in files if file is not None and _pickled(file)]
    return Check("no pickle", "failed" if bad else "ok", ", ".join(bad))


def _pickled(path: Path) -> bool:
    return path.suffix.lower() in PICKLES or is_pickled(path)


def _counted(entry: Entry, module: nn.Module, weights: Path) -> Check:
    count = sum(parameter.numel() for parameter in module.parameters())
    size = weights.stat().st_size
    problems = []
    if count != entry.num_params and entry.summary:
        problems.append(f"{count:,} parameters, the entry says {entry.num_params:,}")
    if entry.size_bytes and size != entry.size_bytes:
        problems.append(f"{size:,} bytes, the entry says {entry.size_bytes:,}")
    return Check("strict load", "failed" if problems else "ok", "; ".join(problems) or f"{count:,} parameters")


def _golden(model: Located, module: nn.Module) -> Check:
    from ..evaluation.golden import differences, golden

    if model.golden is None:
        return Check("golden output", "skipped", "none is recorded here")
    try:
        problems = differences(golden(module), dict(model.golden))
    except (KeyError, TypeError, ValueError) as error:
        problems = [f"the record cannot be compared: {error}"]
    return Check("golden output", "failed" if problems else "ok", "; ".join(problems))


def _card(model: Located) -> Check:
    entry = model.entry
    missing = [what for what in ("summary", "licence") if not getattr(entry, what).strip()]
    if not entry.paper.title:
        missing.append("paper")
    if model.weights is not None:
        # who converts the weights of others knows what they say of them
        wanted = ("data",) if entry.source is not None else ("data", "training", "metrics")
        missing += [what for what in wanted if not getattr(entry, what)]
    if not model.card.strip():
        missing.append("text of the card")
    if model.folder is not None:
        missing += [name for name in DOCUMENTS if not (model.folder / name).is_file()]
        missing += _front_matter(model.folder / "README.md", entry)
    return Check("card", "failed" if missing else "ok", f"lacks {', '.join(missing)}" if missing else "")


def _front_matter(path: Path, entry: Entry) -> list[str]:
    from huggingface_hub import ModelCard

    if not path.is_file():
        return []
    data = ModelCard(path.read_text(encoding="utf-8"), ignore_metadata_errors=True).data
    missing = [f"{key} in the front matter" for key in ("license", "library_name", "pipeline_tag") if not data.get(key)]
    if entry.metrics and not data.get("eval_results"):
        missing.append("model-index in the front matter")
    return missing
