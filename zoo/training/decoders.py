"""Training the decoders of AdaIN and WCT for an encoder that stays as it is, on photographs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..models.adain import LAYER, LEVEL, AdaIN, adain, moments
from ..models.decoder import Decoder, reflected
from ..models.vgg import STYLE_LAYERS
from ..models.wct import LEVELS, WCT
from .objective import Export, Moment
from .photographs import Photographs
from .recipe import Recipe
from .start import fill


class _TrainDecoder(Photographs):
    """Base of both: all of the model but its decoder stays as it is."""

    model: Decoder
    kind: type[AdaIN] | type[WCT]

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        self.whole = self.kind(**recipe.model)
        self.model = self.whole.decoder

    @property
    def encoder_name(self) -> str:
        """The encoder that the model names."""
        assert self.whole.encoder is not None
        return self.whole.encoder

    def stylised(self, model: nn.Module, content: Tensor, style: Tensor) -> Tensor:
        """By the released model's own method, with the decoder as it is now."""
        assert isinstance(model, Decoder)
        self.whole.attach(self.encoder)
        self.whole.decoder = model
        return self.whole(content, style)

    def released(self, module: nn.Module) -> nn.Module:
        """Its decoder."""
        assert isinstance(module, (AdaIN, WCT))
        return module.decoder

    def adopt(self, released: nn.Module, name: str) -> None:
        """Start from the decoder of a released AdaIN or WCT; blocks that are too deep are left out."""
        if not isinstance(released, (AdaIN, WCT)):
            raise ValueError(f"init: {name} does not fit this model: it has no decoder")
        depth = len(self.model.blocks)
        state = released.decoder.state_dict()
        fill(self.model, {key: value for key, value in state.items() if int(key.split(".")[1]) < depth}, name)

    def export(self) -> Export:
        """The decoder in its place."""
        model = self.kind(**self.recipe.model)
        model.decoder = copy.deepcopy(self.model).cpu()
        return Export(model.eval(), dict(self.recipe.model))


class TrainAdaIN(_TrainDecoder):
    """‖f(g(t)) − t‖² + λ Σ_l ‖μ(φ_l(g(t))) − μ(φ_l(s))‖² + ‖σ(φ_l(g(t))) − σ(φ_l(s))‖² (equations 11 to 13).

    t is the content's features at conv4_1 with the moments of the style's, φ_l the encoder's style layers up to
    conv4_1; squares are means. Content and style are photographs both. Beside it, and not in the paper, one content of
    the batch is decoded as it is and compared in pixels: without that a short training learns textures first.
    """

    kind = AdaIN

    def batch(self, moment: Moment) -> tuple[Tensor, Tensor]:
        """Contents and styles (B, 3, s, s) in [0, 1]."""
        B = self.recipe.batch
        images = self.draw(2 * B, int(moment.values["size"]), moment.generator, moment.device)
        return images[:B], images[B:]

    def loss(self, model: nn.Module, batch: Any, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum above; logs its terms."""
        content, style = batch
        encoder = self.encoder.to(moment.device)
        layers = STYLE_LAYERS[:LEVEL]
        with torch.no_grad():
            wanted = {layer: moments(features) for layer, features in reflected(encoder, style, layers).items()}
            f = reflected(encoder, content, [LAYER])[LAYER].float()
            target = adain(f, wanted[LAYER])
        made = model(torch.cat([target, f[:1]]))[-1]
        identity = F.mse_loss(made[-1:].float(), content[:1]) / float(self.model.std.square().mean())
        features = reflected(encoder, made[:-1], layers)
        content_loss = F.mse_loss(features[LAYER].float(), target)
        style_loss = torch.zeros((), device=moment.device)
        for layer in layers:
            for have, want in zip(moments(features[layer]), wanted[layer], strict=True):
                style_loss = style_loss + F.mse_loss(have, want)
        logged = {"content": content_loss.detach(), "style": style_loss.detach(), "identity": identity.detach()}
        weights = self.recipe.loss
        whole = content_loss + weights.get("style", 10.0) * style_loss + weights.get("identity", 1.0) * identity
        return whole, logged


class TrainWCT(_TrainDecoder):
    """Reconstruction from each style layer: pixels, the encoder's activations there, and those on the way (equation 1).

    A step draws the layer to decode from. The activations on the way are compared with the encoder's, so that block l
    is an inverse of the encoder between two layers whatever comes before it.
    """

    kind = WCT

    def batch(self, moment: Moment) -> tuple[Tensor, int]:
        """Pictures (B, 3, s, s) in [0, 1], and the level to decode from."""
        shares = torch.tensor(self.recipe.loss.get("shares", [1.0] * LEVELS))
        level = 1 + int(torch.multinomial(shares, 1, generator=moment.generator))
        images = self.draw(self.recipe.batch, int(moment.values["size"]), moment.generator, moment.device)
        return images, level

    def loss(self, model: nn.Module, batch: Any, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the terms; logs the error in pixels."""
        images, level = batch
        encoder = self.encoder.to(moment.device)
        weight = self.recipe.loss.get("features", 1.0)
        layers = STYLE_LAYERS[:level]
        with torch.no_grad():
            wanted = reflected(encoder, images, layers)
        *inner, made = model(wanted[layers[-1]], level)
        pixels = F.mse_loss(made.float(), images)
        # in units of the encoder's input, whose mean square is about 1 like that of its activations
        loss = pixels / float(self.model.std.square().mean())
        again = reflected(encoder, made, layers[-1:])[layers[-1]]
        loss = loss + weight * F.mse_loss(again.float(), wanted[layers[-1]].float())
        for found, layer in zip(inner, reversed(layers[:-1]), strict=True):
            loss = loss + weight * F.mse_loss(found.float(), wanted[layer].float())
        if moment.world > 1:  # processes may draw different levels, and wait for the gradients of all blocks
            loss = loss + 0 * sum(parameter.sum() for parameter in model.parameters())
        return loss, {"pixels": pixels.detach()}

    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """As for all, and the PSNR in dB of held-out photographs decoded from each level."""
        metrics = super().validate(model, device, full=full)
        encoder = self.encoder.to(device)
        contents = torch.cat([content for content, _ in self.pairs(128, device, 12)])
        with torch.autocast(device.type, enabled=False):
            features = reflected(encoder, contents, STYLE_LAYERS)
            for level, layer in enumerate(STYLE_LAYERS, 1):
                error = (model(features[layer], level)[-1].clamp(0, 1) - contents).square().mean((1, 2, 3))
                metrics[f"psnr{level}"] = float(-10 * error.log10().mean())
        return metrics
