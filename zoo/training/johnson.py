"""Training a network of a single style, a painting drawn by code, on photographs."""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from ..gallery import PAINTINGS, paint
from ..images import rows_of, to_picture
from ..models.johnson import Johnson
from ..models.vgg import CONTENT_LAYER, STYLE_LAYERS
from ..style.loss import CONTENT_WEIGHT, Grams, alpha, gram, loss_terms, style_targets
from .objective import Export, Moment
from .photographs import Photographs
from .pictures import as_images
from .recipe import Recipe


class SingleStyle(Photographs):
    """L_TV of photographs in one style, each as a share of what the photograph as it is would have.

    The recipe may weigh the content more, under `loss.content`, than L_TV does: Gatys starts at the content and keeps
    it, a network that has to find it does not. Under `loss.cells` it may ask for the style in each cell of a grid of so
    many rows and columns: over the whole picture alone, a patch of wild strokes is a fair answer. And it may weigh the
    style layers, under `loss.betas`.

    The recipe names a painting of `zoo.gallery` under `model.style`, and its size under `data.style_size`: the size of
    its strokes in pixels is what the network learns, for pictures of any size.
    """

    model: Johnson

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        if recipe.model.get("style") not in PAINTINGS:
            raise ValueError(f"recipe {recipe.name}: model.style must be one of {', '.join(PAINTINGS)}")
        self.model = Johnson(**recipe.model)

    @cached_property
    def painting(self) -> Tensor:
        """The style, (1, 3, s, s) in [0, 1]."""
        return to_picture(paint(self.model.style, int(self.recipe.data["style_size"]))).tensor

    @cached_property
    def grams(self) -> dict[str, Tensor]:
        """Of the style, float32."""
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            return style_targets(self.encoder.cpu(), self.painting)

    def prepare(self) -> None:
        """Decode the pictures, load the encoder, paint the style."""
        super().prepare()
        _ = self.grams

    def batch(self, moment: Moment) -> Tensor:
        """Contents (B, 3, s, s) in [0, 1]."""
        return self.draw(self.recipe.batch, int(moment.values["size"]), moment.generator, moment.device)

    def loss(self, model: nn.Module, batch: Tensor, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean share of the contents' own loss; logs the terms of L_TV."""
        encoder = self.encoder.to(moment.device)
        grams = {layer: matrix.to(moment.device) for layer, matrix in self.grams.items()}
        with torch.no_grad():
            features = encoder(batch, (*STYLE_LAYERS, CONTENT_LAYER))
            betas = torch.tensor(self.recipe.loss.get("betas", [1.0] * len(STYLE_LAYERS)), device=moment.device)
            whole = _style_in_cells(features, grams, betas, 1).clamp_min(self.recipe.loss.get("floor", 0.05))
        weight = self.recipe.loss.get("content", CONTENT_WEIGHT)
        made = model(batch).float()
        reached = encoder(made.clamp(0, 1), (*STYLE_LAYERS, CONTENT_LAYER))
        terms = loss_terms(encoder, made, grams, features[CONTENT_LAYER], betas, weight, features=reached)
        style = terms.style.sum(1)
        logged = {"style": style, "content": terms.content, "tv": terms.tv}
        count = int(self.recipe.loss.get("cells", 1))
        if count > 1:
            style = logged["in_cells"] = _style_in_cells(reached, grams, betas, count)
        total = style + terms.content + terms.tv
        return (total / whole).mean(), {key: value.detach().mean() for key, value in logged.items()}

    def pairs(self, size: int, device: torch.device, count: int) -> list[tuple[Tensor, Tensor]]:
        """Held-out photographs, (1, 3, size, size), and the one style, as large as it was trained with."""
        style = self.painting.to(device)
        return [(as_images(content[None], size, device), style) for content in self.pictures[1][:count]]

    def picture(self, model: nn.Module, device: torch.device) -> Tensor:
        """Four contents above their results."""
        contents = torch.cat([content for content, _ in self.pairs(160, device, 4)])
        with torch.autocast(device.type, enabled=False):
            made = model(contents)
        return rows_of(contents, made)

    def stylised(self, model: nn.Module, content: Tensor, style: Tensor) -> Tensor:
        """The style is known."""
        return model(content)

    def styles_measured(self) -> str:
        """What `measure` says of the style."""
        return f"the painting {self.model.style} drawn by code"

    def released(self, module: nn.Module) -> nn.Module:
        """The network itself."""
        return module

    def export(self) -> Export:
        """The network as it is."""
        return Export(copy.deepcopy(self.model).cpu().eval(), dict(self.recipe.model))


def _style_in_cells(features: Grams, grams: Grams, betas: Tensor, count: int) -> Tensor:
    """The style term of L_TV, (B,), as a mean over the cells of a grid of `count` rows and columns."""
    apart = [
        (gram(cells(features[layer], count)) - matrix).square().mean((1, 2)).view(len(features[layer]), -1).mean(1)
        for layer, matrix in grams.items()
    ]
    return betas @ torch.stack(apart) / alpha(grams)


def cells(maps: Tensor, count: int) -> Tensor:
    """The cells (B·n², C, h, w) of a grid on maps (B, C, H, W), one picture's after the other; rests are cut off.

    n is `count`, or less where the maps have fewer rows or columns.
    """
    B, C, H, W = maps.shape
    count = min(count, H, W)
    h, w = H // count, W // count
    grid = maps[:, :, : h * count, : w * count].reshape(B, C, count, h, count, w)
    return grid.permute(0, 2, 4, 1, 3, 5).reshape(B * count * count, C, h, w)
