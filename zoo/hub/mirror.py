"""A Hub of files: a static tree from which the models can be downloaded, for labs without internet.

    DIR/ORG/NAME/resolve/COMMIT/FILE      each file; the same again under `main` and under the tag or commit of `hub`
    DIR/api/models/ORG/NAME/revision/REV  what the Hub's API says of the repository
    DIR/api/models/ORG/NAME/tree/REV      and of its files
    DIR/mirror.json                       commit, ETag, size and sha256 of every file
    DIR/nginx.conf                        the same as headers, for nginx

huggingface_hub wants the headers `X-Repo-Commit` and `ETag`. `zoo mirror --serve` and nginx with `nginx.conf` send
them. A server that cannot, such as `python -m http.server`, serves `zoo pull` and `zoo.load` only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import registry
from ..checkpoints import file_sha256
from . import client
from .package import build_folder, own
from .resolve import repository

INDEX = "mirror.json"
ORG = "neural-solver-zoo"
"""Organisation of the models that name no repository."""


@dataclass(frozen=True)
class Mirrored:
    """One model of a mirror."""

    name: str
    repo: str
    commit: str
    size_bytes: int


def mirrored_names() -> list[str]:
    """The models whose weights are on this machine and whose licence and origin are ours to pass on."""
    names = []
    for name in registry.list_models():
        entry = registry.info(name)
        bundled = registry.weights_path(entry)
        if entry.source is None and bundled is not None and bundled.is_file():
            names.append(name)
    return names


def mirror(folder: Path, names: Iterable[str] | None = None, org: str = ORG) -> list[Mirrored]:
    """Write the tree, or bring an older one up to date; files are replaced whole.

    Args:
        folder: The tree's root.
        names: Models, `arch.tag` or `org/name`; None: `mirrored_names()`.
        org: Organisation for the models whose entry names no repository.

    Returns:
        What the tree holds of these.

    Raises:
        ValueError: a model without weights of its own, or one that does not pass the checks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, dict[str, Any]] = {}
    if (folder / INDEX).is_file():
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    done = []
    for name in mirrored_names() if names is None else names:
        entry = registry.info(name)
        place = repository(entry)
        repo, revision = place if place is not None else (f"{org}/{entry.name}", None)
        with tempfile.TemporaryDirectory(prefix="zoo-mirror-") as temporary:
            build_folder(own(name), Path(temporary), repo)
            paths = sorted(Path(temporary).iterdir())
            commit = revision if revision and client.COMMIT_PATTERN.fullmatch(revision) else _commit(paths)
            size = sum(path.stat().st_size for path in paths)
            for at in {"main", commit, revision or "main"}:
                index |= _write(folder, repo, at, commit, paths)
        done.append(Mirrored(entry.name, repo, commit, size))
    _replace(folder / INDEX, json.dumps(index, indent=1, sort_keys=True))
    _replace(folder / "nginx.conf", nginx_conf(folder, index))
    return done


def _commit(paths: list[Path]) -> str:
    """A commit's name from the files alone, so that the same files have the same."""
    listed = "\n".join(f"{path.name} {file_sha256(path)}" for path in paths)
    return hashlib.sha1(listed.encode()).hexdigest()


def _write(folder: Path, repo: str, revision: str, commit: str, paths: list[Path]) -> dict[str, dict[str, Any]]:
    """The files and API answers of one revision; returns their part of the index."""
    records = {}
    tree = []
    for path in paths:
        sha256 = file_sha256(path)
        content = path.read_bytes()
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        large = path.name == client.WEIGHTS_FILE
        item: dict[str, Any] = {"type": "file", "path": path.name, "size": len(content), "oid": blob}
        if large:
            item["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
        tree.append(item)
        where = f"{repo}/resolve/{revision}/{path.name}"
        _copy(path, folder / where)
        records[f"/{where}"] = {
            "commit": commit,
            "etag": sha256 if large else blob,
            "size": len(content),
            "sha256": sha256,
        }
    siblings = [{"rfilename": path.name} for path in paths]
    info = {"_id": "0", "id": repo, "sha": commit, "private": False, "tags": [], "siblings": siblings}
    for call, data in (("revision", info), ("tree", tree)):
        where = f"api/models/{repo}/{call}/{revision}"
        _replace(folder / where, json.dumps(data))
    return records


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def nginx_conf(folder: Path, index: dict[str, dict[str, Any]]) -> str:
    """A configuration for nginx that serves the tree with the headers that huggingface_hub wants."""

    def table(key: str, quote: str) -> str:
        return "\n".join(f"        {path} '{quote}{record[key]}{quote}';" for path, record in sorted(index.items()))

    return f"""# nginx -c {folder.resolve() / "nginx.conf"}
# then, on the other machines: export HF_ENDPOINT=http://THIS-MACHINE:8080 HF_HUB_DISABLE_XET=1
events {{}}
http {{
    map_hash_bucket_size 256;
    map $uri $hub_commit {{
        default '';
{table("commit", "")}
    }}
    map $uri $hub_etag {{
        default '';
{table("etag", '"')}
    }}
    server {{
        listen 8080;
        root {folder.resolve()};
        etag off;
        default_type application/octet-stream;
        add_header X-Repo-Commit $hub_commit;
        add_header ETag $hub_etag;
        location /api/ {{ default_type application/json; }}
    }}
}}
"""
