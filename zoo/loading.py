"""`zoo.load`: a model by name, with its weights from wherever they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from . import registry
from .errors import WeightsNotFoundError

if TYPE_CHECKING:
    from .registry import Entry


def load(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    local_files_only: bool = False,
) -> nn.Module:
    """Build a model and load its weights.

    Args:
        name: `arch.tag`, or `arch` for its default entry.
        weights: A `.safetensors` file to use instead of the registered weights; None: the first found of the bundled
            file, the local Hugging Face cache, the Hugging Face Hub.
        device: Where to put the model; None: torch's default device.
        local_files_only: Never go to the network.

    Returns:
        The model, in eval mode.

    Raises:
        UnknownModelError: no such entry; the message lists close names.
        WeightsNotFoundError: the weights are nowhere; the message lists what was tried and what to do.
        CheckpointError: the file is damaged, or made for another model.
    """
    from . import checkpoints

    entry = registry.info(name)
    if weights is not None and entry.file is None:
        raise ValueError(f"weights: {entry.name} has none, it is a solver without trained parameters")
    module = registry.build(entry.arch, entry.config)
    if entry.file is not None:
        path = Path(weights) if weights is not None else find_weights(entry, local_files_only)
        # a file of the caller's own has another hash than the registered one; the digest inside is still checked
        sha256 = None if weights is not None else entry.sha256
        checkpoints.load_checkpoint(path, module, name=entry.name, config=entry.config, sha256=sha256)
    if device is not None:
        module = module.to(device)
    return module.eval()


def find_weights(entry: Entry, local_files_only: bool = False) -> Path:
    """The file with an entry's weights: bundled, in the local Hugging Face cache, or fetched from the Hub.

    Raises:
        WeightsNotFoundError: none of these has it; the message lists what was tried and what to do.
    """
    if entry.file is None:
        raise ValueError(f"entry: {entry.name} has no weights")
    bundled = registry.WEIGHTS / entry.file
    if bundled.is_file():
        return bundled
    tried = [f"bundled file: {bundled} is not there"]
    if entry.hub is None:
        tried.append("Hugging Face Hub: the entry names no repository")
        fix = f"give the file yourself: zoo.load({entry.name!r}, weights='PATH.safetensors')"
    else:
        repo, _, revision = entry.hub.partition("@")
        found = _from_hub(entry.file, repo, revision or None, local_files_only, tried)
        if found is not None:
            return found
        at = f" --revision {revision}" if revision else ""
        fix = (
            f"with a network, run: hf download {repo} {entry.file}{at}\n"
            f"or give the file yourself: zoo.load({entry.name!r}, weights='PATH.safetensors')"
        )
    lines = "\n".join(f"  - {line}" for line in tried)
    raise WeightsNotFoundError(f"the weights of {entry.name} were not found. Tried:\n{lines}\nTo fix it, {fix}")


def _from_hub(file: str, repo: str, revision: str | None, local_files_only: bool, tried: list[str]) -> Path | None:
    """Ask the cache, then the Hub; on failure None, and what was tried is appended to `tried`."""
    import huggingface_hub
    from huggingface_hub import constants

    cached = huggingface_hub.try_to_load_from_cache(repo, file, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    tried.append(f"Hugging Face cache: {repo} is not in {constants.HF_HUB_CACHE}")
    if local_files_only:
        tried.append("Hugging Face Hub: not asked, because of local_files_only")
        return None
    try:
        return Path(huggingface_hub.hf_hub_download(repo, file, revision=revision, library_name="neural-solver-zoo"))
    # whatever goes wrong between here and the Hub (no network, no such repository, a proxy) is the same to the caller
    except Exception as error:
        tried.append(f"Hugging Face Hub: {type(error).__name__}: {next(iter(str(error).splitlines()), '')}")
        return None
