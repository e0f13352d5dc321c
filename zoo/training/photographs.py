"""What the objectives of style transfer share: photographs, unseen styles, the encoder, how results are measured."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets import ImageFiles, decoded, resize_shorter
from ..evaluation.held_out import spread
from ..loading import load
from ..models.vgg import CONTENT_LAYER, STYLE_LAYERS, VGGEncoder
from ..style.loss import Grams, content_target, style_targets, total_loss
from .objective import OnData
from .patches import find_sources
from .pictures import as_images, mirrored

HELD_OUT = 24  # photographs that no style transfer is trained on


class Photographs(OnData):
    """Base of objectives that train on whole photographs and are measured by L_TV on unseen styles.

    Data: a folder with the sets that the recipe names under `train` (photographs) and `tests` (paintings, to measure
    on), or any folder or archive of pictures. Whole pictures, cut to the largest square and resized to `side`, take
    part: crops of flat regions would make styles with next to no Gram matrix. All recipes hold out the same.
    """

    @property
    def encoder_name(self) -> str:
        """The perceptual encoder that the recipe names."""
        return str(self.recipe.loss.get("encoder", "vgg19_half.tiny_imagenet"))

    @cached_property
    def encoder(self) -> VGGEncoder:
        """The frozen encoder."""
        encoder = load(self.encoder_name)
        assert isinstance(encoder, VGGEncoder)
        return encoder.requires_grad_(False).to(memory_format=torch.channels_last)

    @cached_property
    def pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """Pictures to train on and pictures held out, uint8 (n, s, s, 3)."""
        sources = find_sources(self.path, self.recipe.data.get("train", [])) or [self.path]
        every = np.concatenate([self._squares(source) for source in sources])
        if len(every) < 4:
            raise ValueError(f"data {self.path}: {len(every)} pictures are too few to train and validate on")
        held = np.zeros(len(every), bool)
        held[spread(len(every), HELD_OUT)] = True
        return every[~held], every[held]

    @cached_property
    def paintings(self) -> np.ndarray:
        """Styles to measure on: those of the recipe's `tests`, or else the pictures held out, in reverse order."""
        found = find_sources(self.path, self.recipe.data.get("tests", []))
        return self._squares(found[0]) if found else self.pictures[1][::-1]

    def _squares(self, source: Path) -> np.ndarray:
        files = ImageFiles(source)
        return decoded(files, files.images(), self.recipe.data["side"], self.cache, resize_shorter)

    def prepare(self) -> None:
        """Decode the pictures and load the encoder."""
        _ = self.pictures, self.encoder

    def draw(self, count: int, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
        """Photographs (count, 3, size, size) in [0, 1], half of them mirrored."""
        drawn = torch.randint(len(self.pictures[0]), (count,), generator=generator)
        images = mirrored(as_images(self.pictures[0][drawn.numpy()], size, device), generator)
        return images.contiguous(memory_format=torch.channels_last)

    @abstractmethod
    def stylised(self, model: nn.Module, content: Tensor, style: Tensor) -> Tensor:
        """What the model makes of a content picture with a style picture, (1, 3, s, s) in [0, 1]."""

    def pairs(self, size: int, device: torch.device, count: int) -> list[tuple[Tensor, Tensor]]:
        """Held-out photographs and unseen styles, (1, 3, size, size) each."""
        contents, styles = self.pictures[1], self.paintings
        every = np.arange(min(count, len(contents)))
        which = every * max(1, len(styles) // len(every)) % len(styles)
        pairs = zip(contents[every], styles[which], strict=True)
        return [(as_images(c[None], size, device), as_images(s[None], size, device)) for c, s in pairs]

    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """Median L_TV of held-out contents with unseen styles, and median share of the content's own, in float32."""
        size = int(self.recipe.data.get("test_size", 256)) if full else 128
        encoder = self.encoder.to(device)
        losses = []
        with torch.autocast(device.type, enabled=False):
            for content, style in self.pairs(size, device, HELD_OUT if full else 12):
                grams: Grams = style_targets(encoder, style, STYLE_LAYERS)
                target = content_target(encoder, content, CONTENT_LAYER)
                own = total_loss(encoder, content, grams, target)
                made = total_loss(encoder, self.stylised(model, content, style), grams, target)
                losses.append((float(made), float(made / own)))
        l_tv, left = np.median(np.array(losses), 0)
        return {"l_tv": float(l_tv), "left": float(left)}

    def picture(self, model: nn.Module, device: torch.device) -> Tensor:
        """Content, style and result of four pairs."""
        with torch.autocast(device.type, enabled=False):
            columns = [
                torch.cat([content[0], style[0], self.stylised(model, content, style)[0]], 1)
                for content, style in self.pairs(160, device, 4)
            ]
        return torch.cat(columns, 2).cpu()

    def styles_measured(self) -> str:
        """What `measure` says of the styles."""
        found = find_sources(self.path, self.recipe.data.get("tests", []))
        return f"styles of {found[0].stem if found else 'others of them'}"

    @abstractmethod
    def released(self, module: nn.Module) -> nn.Module:
        """The trained part of a released model, as `validate` takes it."""

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """Median L_TV over pairs of held-out photographs and unseen styles."""
        with torch.no_grad():
            result = self.validate(self.released(module), device, full=True)
        size = self.recipe.data.get("test_size", 256)
        common = {
            "dataset": f"{len(self.pictures[1])} held-out photographs, {self.styles_measured()}",
            "settings": f"{size} pixels, encoder {self.encoder_name}",
        }
        return [
            {**common, "metric": "median L_TV", "value": round(result["l_tv"], 4)},
            {**common, "metric": "median share of the content's L_TV", "value": round(result["left"], 4)},
        ]
