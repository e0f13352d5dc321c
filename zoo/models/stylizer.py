"""What a network that transfers a style in one pass offers, whichever one it is; `zoo.tasks.stylize` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Stylizer(Protocol):
    """A module with one method beyond `forward`. It knows its encoder by name and keeps its own weights of it, if any.

    Spatial masks, colour preservation, sizes and files are the business of `zoo.tasks.stylize`, not of the module.
    """

    encoder: str | None
    """Registry name of the perceptual encoder that the module was trained with; None: it needs none."""

    def stylise(self, content: Tensor, styles: Sequence[Tensor], weights: Sequence[float], intensity: float) -> Tensor:
        """The content in a mixture of styles.

        Args:
            content: (1, 3, H, W) in [0, 1], any size from 16 pixels.
            styles: Pictures (1, 3, h, w) in [0, 1], each of a size of its own, from 16 pixels. A network of a single
                style does not look at them.
            weights: One for each style, ≥ 0, their sum is 1.
            intensity: ≥ 0. 0 gives the content as far as the network can reproduce it, 1 the full style; between them
                a blend in feature space. What is above 1 may extrapolate or count as 1.

        Returns:
            (1, 3, H, W), the size of `content`. Not necessarily clipped.
        """
        ...
