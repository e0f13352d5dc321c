"""`zoo doctor`: what is installed, which kernels run and why, and whether the bundled weights are whole."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from typing import Any

from .. import registry

PACKAGES = ("torch", "torchvision", "numpy", "pillow", "safetensors", "gradio", "huggingface_hub")
# extra: distributions that it brings and the rest works without
EXTRAS = {
    "app": ("gradio", "scikit-image", "torchvision"),
    "train": ("accelerate", "torchvision", "tqdm", "matplotlib"),
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "eval": ("torchvision", "scikit-image", "scipy"),
}


def examine() -> dict[str, Any]:
    """Look at the installation.

    Returns:
        JSON-able report; `healthy` is False if a bundled file is missing or damaged.
    """
    import torch

    from .. import __version__

    weights = _weights()
    return {
        "zoo": __version__,
        "python": platform.python_version(),
        "executable": sys.executable,
        "os": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "packages": {name: _version(name) for name in PACKAGES},
        "cuda": {
            "built": torch.version.cuda,
            "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        },
        "kernels": _kernels(),
        "missing": _missing(),
        "weights": weights,
        "healthy": all(item["state"] == "ok" for item in weights),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _kernels() -> dict[str, Any]:
    import cuda_src

    backend = cuda_src.backend()
    return {
        "backend": backend.name,
        "source": backend.source,
        "library": None if backend.library is None else str(backend.library),
        "reason": backend.reason,
        "hint": backend.hint,
        "cuda": backend.cuda,
    }


def _missing() -> list[dict[str, Any]]:
    """Extras of which something is not installed, and the line that installs them."""
    missing = []
    for extra, names in EXTRAS.items():
        absent = [name for name in names if _version(name) is None]
        if absent:
            missing.append({"extra": extra, "packages": absent, "install": f'pip install "neural-solver-zoo[{extra}]"'})
    return missing


def _weights() -> list[dict[str, Any]]:
    """The files that come with the package: entries without a Hub repository must have theirs."""
    from ..checkpoints import file_sha256

    report = []
    for name in registry.list_models():
        entry = registry.info(name)
        if entry.file is None:
            continue
        path = registry.WEIGHTS / entry.file
        if path.is_file():
            state = "ok" if file_sha256(path) == entry.sha256 else "damaged"
        elif entry.hub is not None or entry.source is not None:
            continue
        else:
            state = "missing"
        report.append({"name": name, "file": str(path), "state": state})
    return report


def lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The report as rows of label and text."""
    kernels = report["kernels"]
    cuda = report["cuda"]
    devices = ", ".join(cuda["devices"]) or "no device"
    rows = [
        ("zoo", report["zoo"]),
        ("python", f"{report['python']} ({report['executable']})"),
        ("os", report["os"]),
        ("cpu", f"{report['cpus']} processors, torch uses {report['threads']} threads"),
        ("cuda", f"{devices} (torch {'built for CUDA ' + cuda['built'] if cuda['built'] else 'without CUDA'})"),
        *((name, version or "not installed") for name, version in report["packages"].items()),
        ("kernels", f"{kernels['backend']}: {kernels['reason']}"),
    ]
    if kernels["library"]:
        rows.append(("", kernels["library"]))
    rows.append(("", "CUDA kernels are loaded" if kernels["cuda"] else "no CUDA kernels"))
    if kernels["hint"]:
        rows.append(("hint", kernels["hint"]))
    for item in report["missing"]:
        rows.append(("optional", f"{', '.join(item['packages'])} not installed; to get them: {item['install']}"))
    for item in report["weights"]:
        advice = "" if item["state"] == "ok" else "; reinstall the package"
        rows.append(("weights", f"{item['name']}: {item['state']} ({item['file']}){advice}"))
    if not report["weights"]:
        rows.append(("weights", "no model brings weights"))
    return rows
