"""Publish models on the Hugging Face Hub: one repository each, checked before and after, and a collection of all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import registry
from ..checkpoints import file_sha256
from ..errors import HubError
from . import client
from .package import build_folder, own
from .verify import PICKLES

if TYPE_CHECKING:
    from huggingface_hub import HfApi

COLLECTION = "Neural Solver Zoo"


@dataclass(frozen=True)
class Publication:
    """What was published, or would be."""

    name: str
    repo: str
    files: dict[str, str]
    """sha256 by file."""
    size_bytes: int
    commit: str | None = None
    """None for a dry run."""
    url: str | None = None
    tag: str | None = None
    pull_request: str | None = None
    changed: bool = False
    """Whether there was anything new."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        return asdict(self)


def publish(
    target: str | Path,
    repo: str,
    *,
    tag: str | None = None,
    private: bool = False,
    pull_request: bool = False,
    dry_run: bool = False,
    keep: Path | None = None,
) -> Publication:
    """Build a model's folder, check it by loading it back, upload it in one commit, check what the Hub has, and tag it.

    What is there already is not sent again, so that a run that was interrupted is simply repeated.

    Args:
        target: A model's name, the folder of a training run, or a `.safetensors` file of a registered model.
        repo: `org/name`; made if need be.
        tag: A tag for the commit, e.g. "v1".
        private: Make a new repository private.
        pull_request: Propose the change instead of making it.
        dry_run: Build and check only; needs no network.
        keep: Folder to build in and keep; None: a temporary one.

    Raises:
        ValueError: nothing to publish, or a folder that does not pass the checks.
        HubError: the Hub refused or could not be reached, has other files now than were sent, or has the tag at another
            commit.
    """
    repo, revision = client.split_repo(repo)
    if revision is not None:
        raise ValueError(f"repo: ORG/NAME without a revision, got {repo}@{revision}; --tag names the commit")
    if tag is not None and pull_request:
        raise ValueError("tag, pull_request: a pull request is tagged when it has been merged; give one of them")
    with tempfile.TemporaryDirectory(prefix="zoo-publish-") as temporary:
        folder = keep or Path(temporary)
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            if any(keep.iterdir()):
                raise ValueError(f"{keep}: not empty")
        model = own(target)
        build_folder(model, folder, repo)
        paths = sorted(path for path in folder.iterdir() if path.is_file())
        made = Publication(
            model.entry.stored_name,
            repo,
            {path.name: file_sha256(path) for path in paths},
            sum(path.stat().st_size for path in paths),
        )
        if dry_run:
            return made
        with client.plain_errors(repo):
            api = client.api()
            api.whoami()  # a missing or wrong token is told before anything is made
            api.create_repo(repo, private=private or None, exist_ok=True)
            return _upload(api, made, folder, tag, pull_request)


def _upload(api: HfApi, made: Publication, folder: Path, tag: str | None, pull_request: bool) -> Publication:
    from huggingface_hub import CommitOperationAdd, RepoFile

    repo = made.repo
    head = api.repo_info(repo).sha
    there = [item.path for item in api.list_repo_tree(repo, recursive=True) if isinstance(item, RepoFile)]
    if bad := [path for path in there if Path(path).suffix.lower() in PICKLES]:
        raise HubError(f"{repo}: holds {', '.join(bad)}, which can run code when opened; delete them there first")
    commit, proposed = head, None
    same = _same(api, repo, head, folder)
    if tag is not None:  # before anything is sent
        _free(api, repo, tag, head if same else None)
    if not same:
        proposed = _open_pull_request(api, repo, folder) if pull_request else None
        if proposed is None:
            info = api.create_commit(
                repo,
                [CommitOperationAdd(name, folder / name) for name in made.files],
                commit_message=f"{made.name}, published by zoo {_version()}",
                parent_commit=head,
                create_pr=pull_request or None,
            )
            commit, proposed = info.oid, (str(info.pr_url), info.oid) if pull_request else None
        else:
            commit = proposed[1]
    if not _same(api, repo, commit, folder):
        raise HubError(f"{repo}: what the Hub has at {commit} differs from what was sent; run the same command again")
    if tag is not None and _free(api, repo, tag, commit):
        api.create_tag(repo, tag=tag, revision=str(commit))
    return replace(
        made,
        commit=commit,
        url=f"{api.endpoint}/{repo}",
        tag=tag,
        pull_request=proposed[0] if proposed else None,
        changed=commit != head,
    )


def _same(api: HfApi, repo: str, revision: str | None, folder: Path) -> bool:
    """Whether the Hub has every file of the folder, by its checksum; what else is there does not matter."""
    found = api.verify_repo_checksums(repo, local_dir=folder, revision=revision)
    return not found.mismatches and not found.extra_paths


def _open_pull_request(api: HfApi, repo: str, folder: Path) -> tuple[str, str] | None:
    """The address and commit of a pull request that proposes just this, from a run that was interrupted."""
    proposals = api.get_repo_discussions(repo, discussion_type="pull_request", discussion_status="open")
    numbers = {f"refs/pr/{one.num}" for one in proposals}
    for ref in api.list_repo_refs(repo, include_pull_requests=True).pull_requests or []:
        if ref.ref in numbers and _same(api, repo, ref.target_commit, folder):
            return f"{api.endpoint}/{repo}/discussions/{ref.ref.rsplit('/', 1)[1]}", ref.target_commit
    return None


def _free(api: HfApi, repo: str, tag: str, commit: str | None) -> bool:
    """Whether a tag is still to be made; False: it is at this commit already.

    Raises:
        HubError: it is at another commit.
    """
    at = {ref.name: ref.target_commit for ref in api.list_repo_refs(repo).tags}
    if tag in at and at[tag] != commit:
        raise HubError(f"tag: {tag} of {repo} is at {at[tag][:8]} already, and tags do not move; choose another")
    return tag not in at


def publish_all(org: str, *, tag: str | None = None, private: bool = False, dry_run: bool = False) -> Iterator[Any]:
    """Publish every model with weights of its own as `org/arch.tag`, and list them in a collection.

    Yields:
        A `Publication` for each model, then the collection's address; None in its place for a dry run.

    Raises:
        ValueError, HubError: as `publish`; what has been published stays.
    """
    names = [
        name
        for name in registry.list_models()
        if registry.info(name).file is not None and registry.info(name).source is None
    ]
    for name in names:
        yield publish(name, f"{org}/{name}", tag=tag, private=private, dry_run=dry_run)
    if dry_run:
        yield None
        return
    with client.plain_errors(org):
        api = client.api()
        collection = api.create_collection(COLLECTION, namespace=org, private=private, exists_ok=True)
        for name in names:
            api.add_collection_item(collection.slug, f"{org}/{name}", "model", exists_ok=True)
        yield collection.url


def register_published(publication: Publication) -> Path:
    """Write the repository and the commit into the entry of the zoo, which `zoo.load` and `zoo pull` then go by.

    Raises:
        ValueError: it was not published, or no entry of the zoo describes this file.
    """
    entry = registry.info(publication.name)
    if publication.commit is None or publication.files.get(client.WEIGHTS_FILE) != entry.sha256:
        raise ValueError(f"{publication.name}: the registry's entry is of other weights than those that were published")
    return registry.write_entry(
        replace(entry, hub=f"{publication.repo}@{publication.commit}"), registry.home(entry.name) / "entries"
    )


def _version() -> str:
    from .. import __version__

    return __version__
