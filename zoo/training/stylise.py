"""Training the flexible solver on its own loss: photographs in the style of photographs, no targets."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets import ImageFiles, decoded, resize_shorter
from ..loading import load
from ..models.flexible_solver import LEVELS, FlexibleSolver, Style, normalised
from ..models.vgg import CONTENT_LAYER, STYLE_LAYERS, VGGEncoder
from ..style.loss import gram, loss_terms, total_loss
from .objective import Export, Moment, Objective
from .patches import find_sources
from .pictures import as_images
from .recipe import Recipe
from .teacher import TaughtPairs

HELD_OUT = 24
KEEP = 0.9  # probability that a style level takes part in a step (Puy & Pérez, section 5.1)
NOISE = 0.1  # largest amplitude of the noise on both pictures
OUTSIDE = 2.0  # weight of `outside`: the loss clips such pixels, so it would never bring them back
PIXELS = 4.0  # weight of pixels beside activations, whose mean square is 1, where a teacher is imitated
Batch = tuple[Tensor, Tensor, Tensor, Tensor | None]


class Stylise(Objective):
    """Σ_t L_TV(X(t)) of pairs of photographs, each pair's loss as a share of what the content as it is would have.

    Data: a folder with the sets that the recipe names under `train` (photographs) and `tests` (paintings, to measure
    on), or any folder or archive of pictures. Whole pictures, cut to the largest square and resized, take part: crops
    of flat regions would make styles with next to no Gram matrix.
    """

    model: FlexibleSolver

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        if data is None:
            raise ValueError("data: this recipe needs a folder or archive of pictures")
        self.path = data
        self.model = FlexibleSolver(**recipe.model)
        for parameter in self.model.parameters():
            if parameter.ndim == 2 or parameter.ndim == 4:
                # an equalised rate: Adam would move wide filters, whose weights are small, further than narrow ones
                fan_in = parameter.shape[0] if parameter.ndim == 2 else parameter[0].numel()
                parameter.lr_scale = (60.0 / fan_in) ** 0.5  # type: ignore[attr-defined]

    @cached_property
    def encoder(self) -> VGGEncoder:
        """The frozen encoder that the model names."""
        encoder = load(self.model.encoder)
        assert isinstance(encoder, VGGEncoder)
        return encoder.requires_grad_(False).to(memory_format=torch.channels_last)

    @cached_property
    def pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """Pictures to train on and pictures held out, uint8 (n, s, s, 3)."""
        sources = find_sources(self.path, self.recipe.data.get("train", [])) or [self.path]
        every = np.concatenate([self._squares(source) for source in sources])
        if len(every) < 4:
            raise ValueError(f"data {self.path}: {len(every)} pictures are too few to train and validate on")
        count = min(HELD_OUT, len(every) // 2)
        held = np.zeros(len(every), bool)
        held[[i * len(every) // count for i in range(count)]] = True
        return every[~held], every[held]

    @cached_property
    def paintings(self) -> np.ndarray:
        """Styles to measure on: those of the recipe's `tests`, or else the pictures held out, turned around."""
        found = find_sources(self.path, self.recipe.data.get("tests", []))
        return self._squares(found[0]) if found else self.pictures[1][::-1]

    def _squares(self, source: Path) -> np.ndarray:
        files = ImageFiles(source)
        return decoded(files, files.images(), self.recipe.data["side"], self.cache, resize_shorter)

    def prepare(self) -> None:
        """Decode the pictures and load the encoder."""
        _ = self.pictures, self.encoder
        if not self.model.calibrated:
            self._calibrate()
        if self.recipe.schedule.get("imitate"):
            _ = self.taught

    @torch.no_grad()
    def _calibrate(self) -> None:
        """The average of the Gram matrices of some pictures, normalised where the solver normalises them."""
        pixels = self.pictures[0]
        some = pixels[:: max(1, len(pixels) // 200)]
        sums = [torch.zeros(c, c) for c in self.model.encoder_channels]
        for start in range(0, len(some), 8):
            features = self.encoder(as_images(some[start : start + 8], 128, torch.device("cpu")), STYLE_LAYERS)
            for total, layer in zip(sums, STYLE_LAYERS, strict=True):
                matrices = gram(features[layer])
                total += (matrices if self.model.matrices == "whitened" else normalised(matrices)).sum(0)
        self.model.calibrate([total / len(some) for total in sums])

    def batch(self, moment: Moment) -> Batch:
        """Contents and styles (B, 3, s, s) in [0, 1], with noise, and betas (B, 5).

        While a teacher is imitated, half of the pairs are taught ones, without noise, and come first, and there is
        what the teacher made of them.
        """
        size, B = int(moment.values["size"]), self.recipe.batch
        made = None
        if moment.values.get("imitate", 0.0) > 0:
            content, style, made = self.taught.draw(-(-B // 2), size, moment.generator, moment.device)
            betas = torch.ones(len(made), LEVELS, device=moment.device)
            if len(made) == B:
                return content, style, betas, made
            others = self._pairs_with_noise(B - len(made), size, moment)
            content, style, betas = (torch.cat(both) for both in zip((content, style, betas), others, strict=True))
        else:
            content, style, betas = self._pairs_with_noise(B, size, moment)
        content, style = (x.contiguous(memory_format=torch.channels_last) for x in (content, style))
        return content, style, betas, made

    def _pairs_with_noise(self, B: int, size: int, moment: Moment) -> tuple[Tensor, Tensor, Tensor]:
        pixels = self.pictures[0]
        drawn = torch.randint(len(pixels), (2 * B,), generator=moment.generator)
        images = as_images(pixels[drawn.numpy()], size, moment.device)
        flip = torch.rand(2 * B, 1, 1, 1, generator=moment.generator) < 0.5
        images = torch.where(flip.to(moment.device), images.flip(3), images)
        amplitude = NOISE * torch.rand(2 * B, 1, 1, 1, generator=moment.generator)
        noise = amplitude * (2 * torch.rand(images.shape, generator=moment.generator) - 1)
        images = (images + noise.to(images)).clamp(0, 1)
        betas = (torch.rand(B, LEVELS, generator=moment.generator) < KEEP).float() / KEEP
        return images[:B], images[B:], betas.to(moment.device)

    def loss(self, model: nn.Module, batch: Batch, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over pairs of the share of the content's own L_TV that is left, and of the distance to a teacher.

        Without a teacher the shares are those of the last and one earlier iterate: every earlier one has its turn, the
        paper's sum over t at less cost. With one, the share is the last's, weighted by 1 - `imitate`, and the distance
        in activations, weighted by `imitate`, is the last's too; earlier iterates are to be pictures in between.
        Logs the share that the last one leaves.
        """
        content, style, betas, made = batch
        encoder = self.encoder.to(moment.device)
        with torch.no_grad():
            features = encoder(style, STYLE_LAYERS)
            grams = {layer: gram(features[layer]) for layer in STYLE_LAYERS}
            features = encoder(content, (*STYLE_LAYERS, CONTENT_LAYER))
            target = features[CONTENT_LAYER]
            own = loss_terms(encoder, content, grams, target, betas, features=features).total
            whole = own.clamp_min(self.recipe.loss.get("floor", 0.05))
        iterates = model(content, [Style(tuple(grams.values()))], betas, iterates=True)
        used = [len(iterates) - 1]
        if len(iterates) > 1 and made is None:
            used.append(int(torch.randint(len(iterates) - 1, (), generator=moment.generator)))
        activations = [encoder(iterates[t].clamp(0, 1), (*STYLE_LAYERS, CONTENT_LAYER)) for t in used]
        shares = []
        for t, features in zip(used, activations, strict=True):
            x = iterates[t]
            total = loss_terms(encoder, x, grams, target, betas, features=features).total
            share = (total + OUTSIDE * outside(x)) / whole
            shares.append(torch.where(share < 10, share, 10 + 0 * share))  # one wild pair spoils no step
        left = shares[0].detach()
        logged = {"left": left.mean(), "left_median": left.median()}
        loss = torch.stack(shares).mean()
        if made is not None:
            n = len(made)
            with torch.no_grad():
                wanted = encoder(made, STYLE_LAYERS)
            distance = torch.stack([_apart(activations[0][layer][:n], wanted[layer]) for layer in STYLE_LAYERS]).mean()
            between = [torch.lerp(content[:n], made, t / len(iterates)) for t in range(1, len(iterates) + 1)]
            pixels = torch.stack([_apart(x[:n], y) for x, y in zip(iterates, between, strict=True)]).mean()
            imitate = moment.values["imitate"]
            loss = (1 - imitate) * loss + imitate * (distance + PIXELS * pixels)
            logged |= {"distance": distance.detach(), "pixels": pixels.detach()}
        return loss, logged

    @cached_property
    def taught(self) -> TaughtPairs:
        """Pairs of training pictures in the style of one another, by the recipe's `loss.teacher`."""
        loss = self.recipe.loss
        return TaughtPairs(loss["teacher"], self.pictures[0], int(loss["pairs"]), int(loss["pairs_size"]), self.cache)

    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """Median L_TV of held-out contents with unseen styles, and median share of the content's own."""
        size = int(self.recipe.data.get("test_size", 256)) if full else 128
        losses = []
        for content, style in self._pairs(size, device, HELD_OUT if full else 12):
            grams, target = self._targets(style, content, device)
            own = total_loss(self.encoder, content, grams, target)
            made = total_loss(self.encoder, model(content, [Style(tuple(grams.values()))]).float(), grams, target)
            losses.append((float(made), float(made / own)))
        made_, share = np.median(np.array(losses), 0)
        return {"l_tv": float(made_), "left": float(share)}

    def _pairs(self, size: int, device: torch.device, count: int) -> list[tuple[Tensor, Tensor]]:
        contents, styles = self.pictures[1], self.paintings
        every = np.arange(min(count, len(contents)))
        which = every * max(1, len(styles) // len(every)) % len(styles)
        pairs = zip(contents[every], styles[which], strict=True)
        return [(as_images(c[None], size, device), as_images(s[None], size, device)) for c, s in pairs]

    def _targets(self, style: Tensor, content: Tensor, device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
        encoder = self.encoder.to(device)
        features = encoder(style, STYLE_LAYERS)
        return {k: gram(features[k]) for k in STYLE_LAYERS}, encoder(content, [CONTENT_LAYER])[CONTENT_LAYER]

    def picture(self, model: nn.Module, device: torch.device) -> Tensor:
        """Content, style and result of four pairs."""
        columns = []
        for content, style in self._pairs(160, device, 4):
            grams, _ = self._targets(style, content, device)
            result = model(content, [Style(tuple(grams.values()))]).float()
            columns.append(torch.cat([content[0], style[0], result[0]], 1))
        return torch.cat(columns, 2).cpu()

    def export(self) -> Export:
        """The solver as it is."""
        return Export(copy.deepcopy(self.model).cpu().eval(), dict(self.recipe.model))

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """Median L_TV over pairs of held-out photographs and unseen styles."""
        found = find_sources(self.path, self.recipe.data.get("tests", []))
        name = f"{HELD_OUT} held-out photographs, styles of {found[0].stem if found else 'others of them'}"
        with torch.no_grad():
            result = self.validate(module, device, full=True)
        return [
            {"dataset": name, "metric": "median L_TV", "value": round(result["l_tv"], 4)},
            {"dataset": name, "metric": "median share of the content's L_TV", "value": round(result["left"], 4)},
        ]


def _apart(x: Tensor, y: Tensor) -> Tensor:
    return (x.float() - y.float()).square().mean()


def outside(x: Tensor) -> Tensor:
    """Mean square, (B,), of how far the values of (B, C, H, W) are outside [0, 1]."""
    x = x.float()
    return (x - x.clamp(0, 1)).square().mean((1, 2, 3))
