"""Training the flexible solver on its own loss: photographs in the style of photographs, no targets."""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from ..models.flexible_solver import LEVELS, FlexibleSolver, Style, normalised
from ..models.vgg import CONTENT_LAYER, STYLE_LAYERS
from ..style.loss import gram, loss_terms, style_targets
from ..style.own import styles_for
from .objective import Export, Moment
from .photographs import Photographs
from .pictures import as_images
from .recipe import Recipe
from .teacher import TaughtPairs

KEEP = 0.9  # probability that a style level takes part in a step (Puy & Pérez, section 5.1)
NOISE = 0.1  # largest amplitude of the noise on both pictures
OUTSIDE = 2.0  # weight of `outside`: the loss clips such pixels, so it would never bring them back
PIXELS = 4.0  # weight of pixels beside activations, whose mean square is 1, where a teacher is imitated
Batch = tuple[Tensor, Tensor, Tensor, Tensor | None]


class Stylise(Photographs):
    """Σ_t L_TV(X(t)) of pairs of photographs, each pair's loss as a share of what the content as it is would have."""

    model: FlexibleSolver

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        self.model = FlexibleSolver(**recipe.model)
        for parameter in self.model.parameters():
            if parameter.ndim == 2 or parameter.ndim == 4:
                # an equalised rate: Adam would move wide filters, whose weights are small, further than narrow ones
                fan_in = parameter.shape[0] if parameter.ndim == 2 else parameter[0].numel()
                parameter.lr_scale = (60.0 / fan_in) ** 0.5  # type: ignore[attr-defined]

    @property
    def encoder_name(self) -> str:
        """The encoder that the model names."""
        return self.model.encoder

    def prepare(self) -> None:
        """Decode the pictures, load the encoder, find the average style; make what is imitated."""
        super().prepare()
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
        images = self.draw(2 * B, size, moment.generator, moment.device)
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
            known = None
            if self.model.filters == "difference":
                known = tuple(gram(features[layer]) for layer in STYLE_LAYERS)
            own = loss_terms(encoder, content, grams, target, betas, features=features).total
            whole = own.clamp_min(self.recipe.loss.get("floor", 0.05))
        iterates = model(content, [Style(tuple(grams.values()), own=known)], betas, iterates=True)
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

    def stylised(self, model: nn.Module, content: Tensor, style: Tensor) -> Tensor:
        """With the Gram matrices of the style."""
        grams = style_targets(self.encoder, style, STYLE_LAYERS)
        return model(content, styles_for(self.model, self.encoder, content, [(grams, None)])).float()

    def released(self, module: nn.Module) -> nn.Module:
        """The solver itself."""
        return module

    def export(self) -> Export:
        """The solver as it is."""
        return Export(copy.deepcopy(self.model).cpu().eval(), dict(self.recipe.model))


def _apart(x: Tensor, y: Tensor) -> Tensor:
    return (x.float() - y.float()).square().mean()


def outside(x: Tensor) -> Tensor:
    """Mean square, (B,), of how far the values of (B, C, H, W) are outside [0, 1]."""
    x = x.float()
    return (x - x.clamp(0, 1)).square().mean((1, 2, 3))
