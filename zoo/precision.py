"""Half precision where the processor computes in it, and not where it would only be imitated."""

from __future__ import annotations

import contextlib
import copy
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


@lru_cache(maxsize=8)
def has_bfloat16(device: torch.device) -> bool:
    """Whether convolutions in bfloat16 are faster than in float32: on GPUs, and CPUs with instructions for it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16") or known.get("bf16"))


def fast(device: torch.device, wanted: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Autocast to bfloat16 where that is `wanted` and the device has it; else nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and has_bfloat16(device))


def ready_for_fast(module: Module, device: torch.device) -> Module:
    """A frozen module as `fast` would have it, for many calls: what it computes within `fast` is the same to the bit.

    Autocast rounds weights that ask for no gradient anew in each call, which costs a third of the time where a batch is
    one small picture.

    Returns:
        A copy, with the weights of convolutions in bfloat16 and channels last; the module itself where `fast` does
        nothing.
    """
    if not has_bfloat16(device):
        return module
    twin = copy.deepcopy(module).requires_grad_(False)
    for part in twin.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
            part.to(dtype=torch.bfloat16, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return twin


def at_least_single(x: Tensor) -> Tensor:
    """A tensor in float32, or in float64 if it is: for sums that half precision has too few digits for."""
    return x if x.dtype == torch.float64 else x.float()
