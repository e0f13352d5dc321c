"""A model as a file for other programs: plain safetensors, ONNX, or PyTorch's own exported program."""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import registry
from ..loading import load

SUFFIXES = {"safetensors": ".safetensors", "onnx": ".onnx", "torch-export": ".pt2"}
TOLERANCE = 1e-3
"""Largest difference of an output that is accepted, in units of its root mean square."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    format: str
    size_bytes: int
    difference: float | None
    """Largest difference between the file's output and the model's, over the output's root mean square; None: the
    runtime for the format is not installed, so the file was not run."""
    any_size: bool
    """Whether it takes inputs of any size; False: only of the size that it was exported with."""
    inputs: dict[str, list[int]]
    """Names and shapes it was exported with."""


class _Plain(nn.Module):
    """A model whose outputs are tensors side by side, which is what the formats know."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, source: Tensor, second: Any = None) -> tuple[Tensor, ...]:
        output = self.module(source) if second is None else self.module(source, second)
        return tuple(output.values()) if isinstance(output, dict) else (output,)


def export(name: str, format: str, output: str | os.PathLike[str] | None = None) -> Exported:
    """Write a model as a file and compare what the file computes with what the model does.

    Args:
        name: `arch.tag`, `arch`, or `org/name`.
        format: "safetensors" (float32 tensors only), "onnx", or "torch-export" (for `torch.export.load`).
        output: File to write; None: the name with the format's suffix, in the current folder.

    Returns:
        What was written; nothing is left if it cannot be, or if the outputs differ.

    Raises:
        ValueError: unknown format, a wrong suffix, a model that the format cannot hold, outputs that differ, or what
            writes the format is not installed.
    """
    if format not in SUFFIXES:
        raise ValueError(f"format: one of {', '.join(SUFFIXES)}, got {format!r}")
    entry = registry.info(name)
    path = Path(output) if output is not None else Path(entry.name.replace("/", "_") + SUFFIXES[format])
    if path.suffix != SUFFIXES[format]:
        raise ValueError(f"output: a file for {format} ends in {SUFFIXES[format]}, got {path.name!r}")
    if entry.file is None:
        raise ValueError(
            f"{entry.name} has no weights to export: it iterates on each picture until it has converged, and "
            f"{format} holds {'tensors only' if format == 'safetensors' else 'a fixed computation'}"
        )
    if entry.input.control is not None:
        raise ValueError(f"{entry.name} takes {entry.input.control} beside the picture; exports are for one input only")
    module = load(entry.name).float()
    if format != "safetensors" and isinstance(several := sample_input(module), tuple):
        raise ValueError(f"{entry.name} takes {len(several)} inputs; exports to {format} are for one input only")
    part = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    write: dict[str, Callable[[nn.Module, Path], tuple[float | None, bool, dict[str, list[int]]]]] = {
        "safetensors": lambda module, path: _safetensors(entry, module, path),
        "onnx": _onnx,
        "torch-export": _torch_export,
    }
    try:
        difference, any_size, inputs = write[format](module, part)
        if difference is not None and not difference <= TOLERANCE:
            raise ValueError(f"{entry.name}: the exported file differs from the model by {difference:.2g}; not written")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return Exported(path, format, path.stat().st_size, difference, any_size, inputs)


def sample_input(module: nn.Module) -> Any:
    """The input that a model is exported and compared with: its golden one; a tuple for models that take several."""
    from ..evaluation.golden import golden_picture

    return getattr(module, "golden_input", golden_picture)()


def _safetensors(
    entry: registry.Entry, module: nn.Module, path: Path
) -> tuple[float | None, bool, dict[str, list[int]]]:
    from safetensors.torch import load_file, save

    state = {key: value.contiguous().clone() for key, value in module.state_dict().items()}
    path.write_bytes(save(state, metadata={"format": "pt", "name": entry.name, "licence": entry.licence}))
    again = registry.build(entry.arch, entry.config).eval()
    again.load_state_dict(load_file(path), strict=True)
    source = sample_input(module)
    sources = source if isinstance(source, tuple) else (source,)
    with torch.no_grad():
        difference = _difference(_Plain(again)(*sources), _Plain(module)(*sources))
    names = ["source"] if len(sources) == 1 else [f"source_{number}" for number in range(1, len(sources) + 1)]
    shapes = {name: list(one.shape) for name, one in zip(names, sources, strict=True) if isinstance(one, Tensor)}
    return difference, True, shapes


def _torch_export(module: nn.Module, path: Path) -> tuple[float | None, bool, dict[str, list[int]]]:
    source = sample_input(module)
    program, any_size = _program(module, source)
    content = io.BytesIO()  # torch's own writer aborts the process when the disk is full
    torch.export.save(program, content)
    path.write_bytes(content.getvalue())
    with torch.no_grad():
        difference = max(
            _difference(torch.export.load(path).module()(one), _Plain(module)(one)) for one in _sizes(source, any_size)
        )
    return difference, any_size, {"source": list(source.shape)}


def _onnx(module: nn.Module, path: Path) -> tuple[float | None, bool, dict[str, list[int]]]:
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(f'{package} is not installed; to get it: pip install "neural-solver-zoo[export]"')
    source = sample_input(module)
    program, any_size = _program(module, source)
    try:
        made = torch.onnx.export(program, dynamo=True, optimize=True, verbose=False, external_data=False)
    except Exception as error:
        raise ValueError(f"ONNX has no form for this model: {_first_line(error)}") from None
    assert made is not None
    made.save(str(path), external_data=False)
    if importlib.util.find_spec("onnxruntime") is None:
        return None, any_size, {"source": list(source.shape)}
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    difference = 0.0
    for one in _sizes(source, any_size):
        found = tuple(torch.from_numpy(array) for array in session.run(None, {name: one.numpy()}))
        with torch.no_grad():
            difference = max(difference, _difference(found, _Plain(module)(one)))
    return difference, any_size, {name: list(source.shape)}


def _program(module: nn.Module, source: Tensor) -> tuple[torch.export.ExportedProgram, bool]:
    """The exported program, for inputs of any size if the model allows that, else for this one."""
    plain = _Plain(module).eval()
    axes: Mapping[int, Any] = {0: torch.export.Dim.AUTO}
    if source.ndim == 4:
        axes = {axis: torch.export.Dim.AUTO for axis in (0, 2, 3)}
    # an axis of length 1 would be taken as a constant
    example = source.expand(2, *source.shape[1:]) if len(source) == 1 else source
    try:
        with torch.no_grad():
            program = torch.export.export(plain, (example,), dynamic_shapes=(dict(axes),))
            for one in _sizes(source, True):
                program.module()(one)
        return program, True
    except Exception:  # of the tracer, which has many
        try:
            return torch.export.export(plain, (source,)), False
        except Exception as error:
            raise ValueError(f"PyTorch cannot export this model: {_first_line(error)}") from None


def _sizes(source: Tensor, any_size: bool) -> list[Tensor]:
    """The input, and another size of it."""
    if not any_size:
        return [source]
    return [source, torch.cat([source, source])[:, :, :-16, :] if source.ndim == 4 else source[:-1]]


def _difference(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    if len(found) != len(expected) or any(a.shape != b.shape for a, b in zip(found, expected, strict=True)):
        raise ValueError("the exported file has outputs of other shapes than the model")
    return max(
        float((a - b).abs().max() / b.square().mean().sqrt().clamp(min=1e-6))
        for a, b in zip(found, expected, strict=True)
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
