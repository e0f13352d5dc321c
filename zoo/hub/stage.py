"""The folder of a hosted app: the sources, pinned requirements, and what the Space is told about itself."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import registry
from ..entry import Entry
from ..errors import HubError
from . import client
from .resolve import repository

ROOT = registry.ROOT.parent
PACKAGES = ("zoo", "space", "cuda_src")
SKIPPED = ("__pycache__", "*.pyc", "*.so", "lib", "runs", ".*")
ZERO = "zero-"
"""ZeroGPU hardware begins so."""
# what ZeroGPU's machines run; their list ends before the newest PyTorch
ZERO_PINS = {"torch": "2.11.0", "torchvision": "0.26.0"}
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


@dataclass(frozen=True)
class Staged:
    """What is in the folder."""

    bundled: list[str]
    """Models whose weights are among the files."""
    preloaded: list[str]
    """Models whose weights the Space fetches when it is built: `org/name@commit`."""
    requirements: list[str]


def stage(folder: Path, models: Iterable[str] | None = None, hardware: str | None = None) -> Staged:
    """Write the folder of a Space.

    Weights that a repository has at a known commit are fetched by the Space when it is built; the others come along.

    Args:
        folder: An empty folder.
        models: Models whose weights the Space is to have; None: all that are here or in a repository.
        hardware: The Space's hardware, e.g. "cpu-basic" or "zero-a10g"; None: the free CPU.

    Raises:
        ValueError: this is not a checkout of the sources, or a model is unknown or nowhere.
    """
    from huggingface_hub import SpaceHardware

    kinds = [kind.value for kind in SpaceHardware]
    if hardware is not None and hardware not in kinds:
        raise ValueError(f"hardware: one of {', '.join(kinds)}, got {hardware!r}")
    for name in ("app.py", "requirements.txt", "README.md"):
        if not (ROOT / name).is_file():
            raise ValueError(f"{ROOT} lacks {name}: the app is deployed from a checkout of the sources")
    bundled, preloaded = _weights(models)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns(*SKIPPED))
    for path in (folder / "zoo" / "weights").glob("*.safetensors"):
        if path.name not in {entry.file for entry in bundled}:
            path.unlink()
    for entry in preloaded:
        if "/" not in entry.name:  # a Space knows a file that it preloaded by the commit alone
            registry.write_entry(entry, folder / "zoo" / "entries")
    for name in ("app.py", "LICENSE"):
        shutil.copyfile(ROOT / name, folder / name)
    requirements = pinned_requirements(hardware)
    (folder / "requirements.txt").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    # with a compiler the kernels are compiled at first use; without one the app runs their PyTorch reference
    (folder / "packages.txt").write_text("g++\n", encoding="utf-8")
    pinned = [str(entry.hub) for entry in preloaded]
    (folder / "README.md").write_text(_readme(pinned, hardware), encoding="utf-8")
    return Staged([entry.name for entry in bundled], pinned, requirements)


def _weights(models: Iterable[str] | None) -> tuple[list[Entry], list[Entry]]:
    """The entries whose weights come along, and those whose weights the Space fetches; the latter at their commits."""
    bundled, preloaded = [], []
    for name in registry.list_models() if models is None else models:
        entry = registry.info(name)
        if entry.file is None or entry.source is not None:
            if models is not None and entry.source is not None:
                raise ValueError(f"models: {entry.name} is published by others, who are to be asked for it")
            continue
        if (package := _package(entry)) is not None:
            if models is not None:
                raise ValueError(f"models: {entry.name} needs the package {package}, which the Space does not have")
            continue
        place = repository(entry)
        if place is not None and place[1] is not None:
            preloaded.append(dataclasses.replace(entry, hub=f"{place[0]}@{_commit(*place)}"))
            continue
        path = registry.weights_path(entry)
        if path is not None and path.is_file() and path.is_relative_to(registry.WEIGHTS):
            bundled.append(entry)
        elif models is not None:
            raise ValueError(
                f"models: {entry.name} is neither in the package nor pinned to a revision of a repository; "
                "zoo publish --register pins it"
            )
    return bundled, preloaded


def _package(entry: Entry) -> str | None:
    """The package of others that a model needs; None: just the zoo."""
    if entry.arch in registry.list_archs():
        return registry.provider(entry.arch)
    return getattr(entry, "plug_in", None) or f"that has {entry.arch}"


def _commit(repo: str, revision: str | None) -> str:
    """The commit of a revision; a tag has to be asked for."""
    if revision is not None and client.COMMIT_PATTERN.fullmatch(revision):
        return revision
    with client.plain_errors(repo):
        sha = client.api().repo_info(repo, revision=revision).sha
    if sha is None:
        raise HubError(f"{repo}: the Hub names no commit for {revision}")
    return sha


def pinned_requirements(hardware: str | None) -> list[str]:
    """`requirements.txt` with the versions that are installed here, and for ZeroGPU the PyTorch that it has.

    Raises:
        ValueError: one of them is not installed, so that there is no version to pin.
    """
    zero = hardware is not None and hardware.startswith(ZERO)
    lines = [] if hardware is not None and not hardware.startswith("cpu-") else [f"--extra-index-url {CPU_INDEX}"]
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        name = re.split(r"[<>=!~\[; ]", line.partition("#")[0].strip())[0]
        if not name:
            continue
        try:
            version = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            raise ValueError(f"{name} is not installed here, so there is no tested version to pin") from None
        lines.append(f"{name}=={ZERO_PINS.get(name, version) if zero else version}")
    # ZeroGPU's own package is in its image, in the version that the machines speak: no pin
    return [*lines, "spaces"] if zero else lines


def _readme(preloaded: list[str], hardware: str | None) -> str:
    """The front matter of the project's README, with what this Space is; and a line of text."""
    import yaml

    _, front, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    keys: dict[str, Any] = yaml.safe_load(front)
    keys["sdk_version"] = importlib.metadata.version("gradio")
    if preloaded:
        pins = [client.split_repo(pin) for pin in preloaded]
        keys["models"] = [repo for repo, _ in pins]
        files = f"{client.WEIGHTS_FILE},{client.CONFIG_FILE}"
        keys["preload_from_hub"] = [f"{repo} {files} {commit}" for repo, commit in pins]
    if hardware is not None:
        keys["suggested_hardware"] = hardware
    text = yaml.safe_dump(keys, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---\n\n# {keys['title']}\n\n{keys.get('short_description', '')}.\n"
