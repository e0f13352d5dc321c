"""`zoo.load`: a model by name, with its weights from wherever they are."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from . import registry
from .errors import CheckpointError, UnknownModelError
from .hub.resolve import find_weights

__all__ = ["find_weights", "load"]


def load(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device | None = None,
    local_files_only: bool = False,
) -> nn.Module:
    """Build a model and load its weights.

    Args:
        name: `arch.tag`, or `arch` for its default entry; `org/name` or `org/name@revision` for a model of the
            Hugging Face Hub that was published by `zoo publish`.
        weights: A `.safetensors` file to use instead of the registered weights; None: the first found of the bundled
            file, the local Hugging Face cache, the Hugging Face Hub.
        device: Where to put the model; None: torch's default device.
        local_files_only: Never go to the network; the same as HF_HUB_OFFLINE=1 or `zoo --offline`.

    Returns:
        The model, in eval mode.

    Raises:
        UnknownModelError: no such entry; the message lists close names.
        WeightsNotFoundError: the weights are nowhere; the message lists what was tried and what to do.
        CheckpointError: the file is damaged, or made for another model.
    """
    from . import checkpoints

    if isinstance(name, str) and "/" in name:
        from .hub.published import published

        entry: registry.Entry = published(name, local_files_only)
        if entry.arch not in registry.list_archs():
            raise UnknownModelError(unknown_arch(entry))
    else:
        entry = registry.info(name)
    if weights is not None and entry.file is None:
        raise ValueError(f"weights: {entry.name} has none, it is a solver without trained parameters")
    module = registry.build(entry.arch, entry.config)
    if entry.file is not None:
        path = Path(weights) if weights is not None else find_weights(entry, local_files_only)
        # a file of the caller's own has another hash than the registered one; the digest inside is still checked
        sha256 = None if weights is not None else entry.sha256
        try:
            checkpoints.load_checkpoint(path, module, name=entry.stored_name, config=entry.config, sha256=sha256)
        except CheckpointError as error:
            if weights is not None:
                raise
            raise CheckpointError(f"{error}. To fix it, {_remedy(entry, path)}") from None
    if device is not None:
        module = module.to(device)
    return module.eval()


def _remedy(entry: registry.Entry, path: Path) -> str:
    if path == registry.weights_path(entry):
        package = registry.provider(entry.arch) or "neural-solver-zoo"
        return f"install the package again: pip install --force-reinstall --no-deps {package}"
    if entry.source is not None:
        return f"delete {path} and run: zoo pull {entry.name}"
    return f"with a network, run: zoo pull {entry.name}"


def unknown_arch(entry: registry.Entry) -> str:
    """What to say of a model whose architecture is not installed."""
    known = ", ".join(registry.list_archs())
    plug_in = getattr(entry, "plug_in", None)
    bringer = f"It comes with the package {plug_in!r}: install that if you trust its authors" if plug_in else ""
    advice = bringer or "A newer version of the zoo may have it: pip install --upgrade neural-solver-zoo"
    return f"{entry.name}: needs the architecture {entry.arch!r}, which is not installed (known are {known}). {advice}"
