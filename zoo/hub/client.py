"""The one way to the Hub: whether it may be asked, the client that asks, and what went wrong in plain words."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import HubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LIBRARY = "neural-solver-zoo"
WEIGHTS_FILE = "model.safetensors"
"""Name of the weights in a repository; in `zoo/weights` they carry the model's name."""
CONFIG_FILE = "config.json"
REPO_PATTERN = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
COMMIT_PATTERN = re.compile(r"[0-9a-f]{40}")
TOKEN_PATTERN = re.compile(r"\b(hf|api_org)_\w{4,}")

_forced_offline = False


@contextlib.contextmanager
def offline_mode() -> Iterator[None]:
    """Stay off the network within this context; what `zoo --offline` sets."""
    global _forced_offline
    before, _forced_offline = _forced_offline, True
    try:
        yield
    finally:
        _forced_offline = before


def offline() -> bool:
    """Whether the Hub must not be asked: inside `offline_mode`, or HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants

    # the library reads the variable once, when it is imported; a program may set it later
    told = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return _forced_offline or told or constants.HF_HUB_OFFLINE


def split_repo(name: str) -> tuple[str, str | None]:
    """`org/name@revision` as repository and revision.

    Raises:
        ValueError: not of this form.
    """
    repo, _, revision = name.partition("@")
    if not REPO_PATTERN.fullmatch(repo) or (revision == "" and "@" in name):
        raise ValueError(f"{name!r}: a Hub repository is ORG/NAME or ORG/NAME@REVISION")
    return repo, revision or None


def api() -> HfApi:
    """The Hub's client, with the user's token.

    Raises:
        HubError: offline.
    """
    from huggingface_hub import HfApi, constants

    from .. import __version__

    if offline():
        raise HubError("the Hub is not asked: --offline or HF_HUB_OFFLINE is set; unset it and try again")
    return HfApi(endpoint=constants.ENDPOINT, library_name=LIBRARY, library_version=__version__)


def cached(repo: str, file: str, revision: str | None = None) -> Path | None:
    """A file in the local Hugging Face cache, or None. Never goes to the network.

    Args:
        repo: `org/name`.
        file: Its name in the repository.
        revision: Commit, tag or branch; None: the newest commit that is known, else the one that was fetched last.
    """
    import huggingface_hub
    from huggingface_hub import constants

    found = huggingface_hub.try_to_load_from_cache(repo, file, revision=revision)
    if found is None and revision is None:  # fetched by its commit only, as a Space does when it is built
        snapshots = Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / "snapshots"
        here = [path for path in snapshots.glob(f"*/{file}") if path.is_file()]
        return max(here, key=lambda path: path.stat().st_mtime, default=None)
    return Path(found) if isinstance(found, str) else None


def download(repo: str, file: str, revision: str | None = None) -> Path:
    """Fetch a file into the local cache, whole or not at all; one that is there already is not fetched again.

    Raises:
        HubError: it cannot be fetched; the message says why and what to do.
    """
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.errors import FileMetadataError, LocalEntryNotFoundError

    from .. import __version__

    api()  # raises when offline
    with plain_errors(repo):
        try:
            found = huggingface_hub.hf_hub_download(
                repo,
                file,
                revision=revision,
                endpoint=constants.ENDPOINT,
                library_name=LIBRARY,
                library_version=__version__,
            )
        except LocalEntryNotFoundError as error:
            if not isinstance(error.__cause__, FileMetadataError):
                raise
            from . import plain

            return plain.download(repo, file, revision)
        return Path(found)


def scrub(text: str) -> str:
    """A text without access tokens."""
    from huggingface_hub import get_token

    token = get_token()
    if token:
        text = text.replace(token, "hf_***")
    return TOKEN_PATTERN.sub("hf_***", text)


@contextlib.contextmanager
def plain_errors(repo: str) -> Iterator[None]:
    """Turns whatever the client raises into a `HubError` that says what went wrong with `repo` and what to do."""
    try:
        yield
    except HubError:
        raise
    except Exception as error:
        # the chain is cut: a traceback of the client's frames could show the headers that were sent
        raise HubError(f"{repo}: {scrub(_explain(error))}") from None


def _explain(error: BaseException) -> str:
    from huggingface_hub import constants, errors

    cause = error
    while isinstance(cause, errors.LocalEntryNotFoundError) and cause.__cause__ is not None:
        cause = cause.__cause__
    status = getattr(getattr(cause, "response", None), "status_code", None)
    first = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    login = "log in with `hf auth login`, or set HF_TOKEN"
    again = "run the same command again"
    if isinstance(cause, errors.LocalTokenNotFoundError):
        return f"this needs a token; {login}"
    if isinstance(cause, errors.GatedRepoError):
        return f"access to this repository has to be asked for on its page at {constants.ENDPOINT}, then {login}"
    if status == 401 and "credentials" in str(cause).lower():
        return f"the Hub does not accept the token; {login}"
    if isinstance(cause, errors.RepositoryNotFoundError):
        return f"there is no such repository at {constants.ENDPOINT}, or it is private; if so, {login}"
    if isinstance(cause, errors.RevisionNotFoundError):
        return "the repository has no such revision"
    if isinstance(cause, errors.EntryNotFoundError):
        return f"the repository lacks the file ({first})"
    if status == 401:
        return f"the Hub does not accept the token; {login}"
    if status == 404:  # of a server that has files and no more, such as a mirror's
        return f"there is no such repository or file at {constants.ENDPOINT} ({first})"
    if status == 403:
        return f"the token may not do this ({first}); it needs the right to write to this organisation"
    if status in (409, 412):
        return f"somebody else changed the repository at the same time ({first}); {again}"
    if "xet-write-token" in first and "404" in first:
        return f"{constants.ENDPOINT} has no Xet storage; set HF_HUB_DISABLE_XET=1 and {again}"
    if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"no space left on the disk of {constants.HF_HUB_CACHE}; free some, or set HF_HOME to another disk"
    if isinstance(cause, errors.FileMetadataError):
        return f"{constants.ENDPOINT} does not answer as the Hub does ({first})"
    kind = type(cause).__name__  # by name: the HTTP client below is another one in each version of the library
    if kind in ("ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"):
        return f"{constants.ENDPOINT} cannot be reached ({first}); check the network and HF_ENDPOINT, then {again}"
    if kind in ("RemoteProtocolError", "ReadError", "WriteError", "ReadTimeout", "WriteTimeout"):
        return f"the connection broke off ({first}); {again}"
    return f"{kind}: {first}; {again}"
