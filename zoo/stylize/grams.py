"""Gram matrices of styles: computed once for pictures that come again, and mixed."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from ..models.flexible_solver import mix
from ..models.vgg import STYLE_LAYERS, VGGEncoder
from ..style.loss import Grams, style_targets


class GramCache:
    """Gram matrices of the pictures that were used last, by content. It holds no pictures.

    Args:
        limit: How many styles are kept, about 0.6 MB each for the half-width encoder.
    """

    def __init__(self, limit: int = 16) -> None:
        self.limit = limit
        self._known: OrderedDict[str, dict[str, Tensor]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, encoder: VGGEncoder, name: str, picture: Tensor) -> dict[str, Tensor]:
        """As `grams_of`; `name` is the encoder's."""
        key = f"{name} {picture.device} {tuple(picture.shape)} {_digest(picture)}"
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = grams_of(encoder, picture)
        with self._lock:
            self._known[key] = found
            while len(self._known) > self.limit:
                self._known.popitem(last=False)
        return found


OF_PAINTINGS = GramCache(32)
"""Of the paintings that are drawn by code, which everybody may use; pictures of callers are not kept here."""


@torch.no_grad()
def grams_of(encoder: VGGEncoder, picture: Tensor) -> dict[str, Tensor]:
    """Style layer -> (1, c, c), of a picture (1, 3, h, w) in [0, 1]."""
    return style_targets(encoder, picture)


def mixed(styles: Sequence[Grams], weights: Sequence[float]) -> dict[str, Tensor]:
    """Gram matrices of a mixture of styles (Puy & Pérez 2019, equation 12).

    The mixture is that of `zoo.models.flexible_solver.mix`, in which every style counts alike whatever its contrast,
    at the mean norm of its styles, so that one style alone is itself.
    """
    if len(styles) == 1:
        return dict(styles[0])
    found = {}
    for layer, matrix in zip(STYLE_LAYERS, mix([list(style.values()) for style in styles], weights), strict=True):
        norms = [float(style[layer].norm()) / style[layer].shape[-1] for style in styles]
        found[layer] = matrix * (sum(w * n for w, n in zip(weights, norms, strict=True)) / sum(weights))
    return found


def _digest(picture: Tensor) -> str:
    return hashlib.blake2b(picture.detach().cpu().contiguous().numpy().data, digest_size=16).hexdigest()
