"""What `zoo pull` has left on this machine, in the Hugging Face cache: list it, and delete it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import registry
from ..errors import CheckpointError, UnknownModelError
from . import client
from .published import PublishedEntry, read_config
from .resolve import repository


@dataclass(frozen=True)
class CachedModel:
    """A repository in the cache."""

    repo: str
    commits: tuple[str, ...]
    size_bytes: int
    path: Path

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        commits = list(self.commits)
        return {"repo": self.repo, "commits": commits, "size_bytes": self.size_bytes, "path": str(self.path)}


def cached_models() -> list[CachedModel]:
    """The models of the zoo in the Hugging Face cache, sorted by repository; what others keep there is left out."""
    return [
        CachedModel(
            repo.repo_id, tuple(sorted(one.commit_hash for one in repo.revisions)), repo.size_on_disk, repo.repo_path
        )
        for repo in _ours()
    ]


def pulled_entries() -> list[PublishedEntry]:
    """The records of the models of the Hub that are here and in no registry, sorted by name; reads only the disk."""
    from huggingface_hub import constants

    named = {place[0] for place in _registered()}
    entries = []
    for folder in sorted(Path(constants.HF_HUB_CACHE).glob("models--*--*")):
        repo = folder.name.removeprefix("models--").replace("--", "/", 1)
        config = client.cached(repo, client.CONFIG_FILE)
        if repo in named or config is None or not (config.parent / client.WEIGHTS_FILE).is_file():
            continue
        try:
            entries.append(read_config(config, repo, config.parent.name))
        except CheckpointError:
            continue  # a model of somebody else's library
    return entries


def delete(names: list[str]) -> int:
    """Delete models from the cache.

    Args:
        names: `org/name`, or `arch.tag` of an entry that has a repository.

    Returns:
        Bytes that were freed.

    Raises:
        ValueError: one is not in the cache; then nothing is deleted.
    """
    from huggingface_hub import constants, scan_cache_dir

    here = {repo.repo_id: repo for repo in _ours()}
    wanted = {}
    for name in names:
        repo = _repo_of(name)
        if repo not in here:
            raise UnknownModelError(f"{name}: not in the cache; `zoo cache list` shows what is")
        wanted[repo] = here[repo]
    if not wanted:
        return 0
    # only these: the library goes by commit, and two repositories of a mirror may have the same one
    cache = dataclasses.replace(scan_cache_dir(constants.HF_HUB_CACHE), repos=frozenset(wanted.values()))
    plan = cache.delete_revisions(*(one.commit_hash for repo in wanted.values() for one in repo.revisions))
    plan.execute()
    return plan.expected_freed_size


def _repo_of(name: str) -> str:
    if "/" in name:
        return client.split_repo(name)[0]
    place = repository(registry.info(name))
    return place[0] if place is not None else name


def _registered() -> Iterator[tuple[str, str | None]]:
    for name in registry.list_models():
        place = repository(registry.info(name))
        if place is not None:
            yield place


def _ours() -> list[Any]:
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    named = {place[0] for place in _registered()} | {entry.name for entry in pulled_entries()}
    return sorted(
        (repo for repo in repos if repo.repo_type == "model" and repo.repo_id in named), key=lambda r: r.repo_id
    )
