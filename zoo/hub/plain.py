"""Fetch from the tree of `zoo mirror` where it lies on a plain file server, which sends neither commits nor hashes.

The Hub's own client refuses such a server. The commit is then read from the tree's own `api` files, and whoever asked
checks the sha256, as always.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from urllib.parse import quote

from ..errors import HubError
from . import client


def download(repo: str, file: str, revision: str | None) -> Path:
    """Fetch a file into the Hugging Face cache, whole or not at all, where the Hub's client will find it.

    Raises:
        HubError: the server is no mirror, or lacks the file.
        OSError: the disk is full.
    """
    from huggingface_hub import constants

    wanted = revision or "main"
    root = f"{constants.ENDPOINT}/{{}}{quote(repo)}/{{}}/{quote(wanted, safe='')}"
    try:
        commit = json.loads(_read(root.format("api/models/", "revision")))["sha"]
    except (ValueError, KeyError, TypeError):
        raise HubError(f"{constants.ENDPOINT} is neither a Hub nor a mirror that zoo mirror made") from None
    if not isinstance(commit, str) or not client.COMMIT_PATTERN.fullmatch(commit):
        raise HubError(f"{constants.ENDPOINT} names no commit for {repo}")
    folder = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    pointer = folder / "snapshots" / commit / file
    if pointer.exists():
        return pointer
    content = _read(root.format("", "resolve") + f"/{quote(file)}")
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    _write(blob, content)
    pointer.parent.mkdir(parents=True, exist_ok=True)
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        _write(pointer, content)
    if wanted != commit:
        _write(folder / "refs" / wanted, commit.encode())
    return pointer


def _read(url: str) -> bytes:
    from huggingface_hub import get_session

    # no token goes to a server that is not known to be the Hub
    answer = get_session().get(url, follow_redirects=True)
    if answer.status_code != 200:
        raise HubError(f"{url} answers {answer.status_code}")
    length = answer.headers.get("Content-Length")
    if length is not None and "Content-Encoding" not in answer.headers and int(length) != len(answer.content):
        raise HubError(f"{url} was cut short")
    return answer.content


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
