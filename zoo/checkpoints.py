"""Weights on disk: safetensors, read strictly. Nothing is ever unpickled.

A file carries, as string metadata, what it is (`zoo_name`, `arch`, `config`) and a digest over that and all tensors,
so that a file that was altered or cut is noticed even where the registry knows no sha256 for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from . import registry
from .errors import CheckpointError

FORMAT = "pt"  # what other readers of safetensors look for
KEYS = ("format", "zoo_name", "arch", "config", "version", "digest")
PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
"""How pickled files begin, and the archives that torch.save makes of them."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds."""

    path: Path
    name: str
    """The model's name when it was saved, `arch.tag`."""
    arch: str
    config: dict[str, Any]
    version: str
    """Version of the zoo that wrote it."""
    tensors: dict[str, torch.Tensor]
    """The state, as stored (float16 stays float16)."""


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_pickled(path: str | os.PathLike[str]) -> bool:
    """Whether a file is pickled, by what it begins with and not by its name."""
    with open(path, "rb") as stream:
        start = stream.read(9)
    # a header of safetensors may well be 0x0280 bytes long; JSON follows its length
    return start.startswith(PICKLE_STARTS) and start[8:] != b"{"


def _digest(metadata: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    digest.update(json.dumps({k: v for k, v in metadata.items() if k != "digest"}, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _sorted_header(content: bytes) -> bytes:
    """The same file with its header's keys in order: the writer's own order is random, and so would be the sha256."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the data stay aligned
    return len(header).to_bytes(8, "little") + header + content[end:]


def save_checkpoint(
    path: str | os.PathLike[str],
    module: nn.Module,
    *,
    name: str,
    config: Mapping[str, Any],
    half: bool = False,
) -> str:
    """Write a module's state, complete or not at all: a reader never sees half a file.

    Args:
        path: File to write, ending in `.safetensors`.
        module: The model; its whole `state_dict` is stored.
        name: `arch.tag`; the architecture is the part before the dot.
        config: Arguments of the architecture's builder, JSON-able.
        half: Store floating-point tensors as float16 (half the size; `load_checkpoint` casts back).

    Returns:
        The file's sha256.

    Raises:
        ValueError: bad name or suffix, a tensor with NaN or infinity, or a config that is not JSON.
    """
    from . import __version__

    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"path: must end in .safetensors, got {path.name!r}")
    if not registry.NAME_PATTERN.fullmatch(name):
        raise ValueError(f"name: must be arch.tag in lower case, got {name!r}")
    tensors = {}
    for key, value in module.state_dict().items():
        # a copy of its own for each: tied weights share storage, which the format refuses
        tensor = value.detach().cpu().contiguous().clone()
        if half and tensor.is_floating_point():
            tensor = tensor.half()
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"module: tensor {key!r} has NaN or infinite values" + (" as float16" if half else ""))
        tensors[key] = tensor
    metadata = {
        "format": FORMAT,
        "zoo_name": name,
        "arch": name.split(".")[0],
        "config": json.dumps(dict(config), sort_keys=True, allow_nan=False),
        "version": __version__,
    }
    metadata["digest"] = _digest(metadata, tensors)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(_sorted_header(save(tensors, metadata=metadata)))
        sha256 = file_sha256(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return sha256


def read_checkpoint(path: str | os.PathLike[str], *, sha256: str | None = None) -> Checkpoint:
    """Read a file and check that it is whole.

    Args:
        path: A `.safetensors` file written by `save_checkpoint`.
        sha256: What the file's sha256 must be; None: not checked (the digest inside always is).

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: another kind of file, a damaged one, or not the expected one.
    """
    path = Path(path)
    if path.suffix != ".safetensors" or (path.is_file() and is_pickled(path)):
        raise CheckpointError(
            f"{path}: only safetensors files are read. Pickled ones (.pt, .pth, .bin) can run code when opened, by "
            "whatever name; convert them where they come from with safetensors.torch.save_file"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if sha256 is not None and (actual := file_sha256(path)) != sha256:
        raise CheckpointError(
            f"{path}: wrong sha256\n  expected {sha256}\n  actual   {actual}\n"
            "The file is damaged or of another version: delete it and try again"
        )
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {key: stream.get_tensor(key) for key in stream.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{path}: damaged or not a safetensors file ({error})") from error
    if missing := [key for key in KEYS if key not in metadata]:
        raise CheckpointError(f"{path}: not a checkpoint of the zoo, its metadata lacks {', '.join(missing)}")
    if _digest(metadata, tensors) != metadata["digest"]:
        raise CheckpointError(f"{path}: content and digest differ, the file was altered or damaged")
    try:
        config = json.loads(metadata["config"])
    except ValueError as error:
        raise CheckpointError(f"{path}: its config is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: its config is not a JSON object")
    return Checkpoint(path, metadata["zoo_name"], metadata["arch"], config, metadata["version"], tensors)


def load_checkpoint(
    path: str | os.PathLike[str],
    module: nn.Module | None = None,
    *,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    sha256: str | None = None,
) -> nn.Module:
    """Load weights strictly: every tensor is there, none is left over, shapes agree, or it is an error.

    Args:
        path: A `.safetensors` file written by `save_checkpoint`.
        module: The model to fill, in place; None: built from the file's architecture and config.
        name: `arch.tag` that is being loaded; the file must have the same architecture and not be another entry's.
        config: The config that is expected; None: whatever the file says.
        sha256: What the file's sha256 must be, None: not checked.

    Returns:
        The module, in the data types it had (float16 storage is cast up).

    Raises:
        FileNotFoundError: no such file.
        CheckpointError: damaged, or its architecture, config or tensors are not the expected ones.
    """
    checkpoint = read_checkpoint(path, sha256=sha256)
    # a name that the registry does not know is a model of the caller's own, of the same architecture
    if name not in (None, checkpoint.name) and (
        checkpoint.arch != str(name).split(".")[0] or checkpoint.name in registry.list_models()
    ):
        raise CheckpointError(f"{path}: holds {checkpoint.name}, which cannot be loaded as {name}")
    # through JSON, because there a tuple is a list
    if config is not None and checkpoint.config != json.loads(json.dumps(dict(config))):
        raise CheckpointError(f"{path}: made for the config {checkpoint.config}, expected {dict(config)}")
    if module is None:
        try:
            module = registry.build(checkpoint.arch, checkpoint.config)
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{path}: {checkpoint.arch} cannot be built from its config: {error}") from error
    _fill(module, checkpoint)
    return module


def _fill(module: nn.Module, checkpoint: Checkpoint) -> None:
    wanted = module.state_dict()
    stored = checkpoint.tensors
    problems = []
    if missing := sorted(set(wanted) - set(stored)):
        problems.append(f"missing {_few(missing)}")
    if unexpected := sorted(set(stored) - set(wanted)):
        problems.append(f"unexpected {_few(unexpected)}")
    for key in sorted(set(wanted) & set(stored)):
        if wanted[key].shape != stored[key].shape:
            problems.append(f"{key} is {tuple(stored[key].shape)}, expected {tuple(wanted[key].shape)}")
        elif wanted[key].is_floating_point() != stored[key].is_floating_point():
            problems.append(f"{key} is {stored[key].dtype}, expected {wanted[key].dtype}")
        elif stored[key].is_floating_point() and not torch.isfinite(stored[key]).all():
            problems.append(f"{key} has NaN or infinite values")
    if problems:
        raise CheckpointError(f"{checkpoint.path}: does not fit the model: {'; '.join(problems)}")
    module.load_state_dict(stored, strict=True)


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
