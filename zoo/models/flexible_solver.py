"""The flexible convolutional solver: unrolled learned gradient descent on the style loss (Puy & Pérez, CVPR 2019).

X(t+1) = P[X(t) - g_t(X(t), S)], X(0) = content (equations 4 and 16). g_t has the structure of the gradient of the style
loss: forward maps f_l, the style filters of equation 7, and backward maps through the same activations (equation 10).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..prox import Operators, in_turn
from ..registry import register_arch
from .decoder import pad
from .vgg import STYLE_LAYERS, channels
from .wct import power

LEVELS = len(STYLE_LAYERS)
WIDTHS = (1, 2, 4, 8, 8)  # channels of the forward maps, in units of L
DECODERS = ("heaviside", "relu")
NORMS = ("pixel", "instance", "none")
MATRICES = ("gram", "root", "relative", "whitened")
AVERAGED = ("relative", "whitened")  # those that know the average style
FILTERS = ("style", "difference")
RIDGE = 0.01  # on the average style's eigenvalues, of their mean


@dataclass(frozen=True)
class Style:
    """What the solver knows of a style picture, and where in the content it applies.

    Attributes:
        grams: Gram matrices SᵀS/n' of the encoder's five style layers, (B or 1, c_l, c_l) each.
        mask: (B or 1, 1, H, W) in [0, 1] at the size of the content; None: everywhere.
        own: The same matrices of the content where the style applies, (B or 1, c_l, c_l); a solver whose filters are
            differences needs them.
    """

    grams: tuple[Tensor, ...]
    mask: Tensor | None = None
    own: tuple[Tensor, ...] | None = None


@dataclass(frozen=True)
class Conditioned:
    """What a solver makes of a `Style`, once for all its iterations.

    Attributes:
        grams: The matrices between G and H of equation 7, (B or 1, c_l, c_l).
        mask: As in `Style`.
        difference: The matrices between G and K: what the style has more than the content; None: no such term.
    """

    grams: tuple[Tensor, ...]
    mask: Tensor | None = None
    difference: tuple[Tensor, ...] | None = None


def mix(styles: Sequence[Sequence[Tensor]], weights: Sequence[float]) -> tuple[Tensor, ...]:
    """Convex mixture of the Gram matrices of several styles (equation 12), each at the same strength.

    Each matrix counts by its share of its own norm, so that a style of strong contrast does not drown the others.

    Args:
        styles: Gram matrices of each style.
        weights: One for each style, ≥ 0, not all 0; only their ratios matter.

    Raises:
        ValueError: the numbers of styles and weights differ, or the weights are not as stated.
    """
    if len(styles) != len(weights) or not styles:
        raise ValueError(f"weights: one for each of the {len(styles)} styles, got {len(weights)}")
    if min(weights) < 0 or not sum(weights) > 0:
        raise ValueError(f"weights: at least 0 and not all 0, got {list(weights)}")
    shares = [weight / sum(weights) for weight in weights]
    return tuple(
        sum((share * normalised(gram) for share, gram in zip(shares, level, strict=True)), torch.zeros(()))
        for level in zip(*styles, strict=True)
    )


def normalised(gram: Tensor) -> Tensor:
    """Gram matrices (B, c, c) divided by ‖Gram‖_F / c: what the solver sees does not depend on contrast."""
    size = gram.flatten(-2).norm(dim=-1)[..., None, None] / gram.shape[-1]
    return gram / size.clamp_min(1e-8)


def root(gram: Tensor) -> Tensor:
    """Square roots of Gram matrices (B, c, c), positive semi-definite."""
    with torch.autocast(gram.device.type, enabled=False):
        return power(gram, 0.5).to(gram.dtype)


def even(matrix: Tensor) -> Tensor:
    """Symmetric matrices (B, c, c) over the root mean square of their eigenvalues."""
    # the squares of the eigenvalues add up to the squares of the entries
    size = matrix.square().sum((1, 2), keepdim=True).div(matrix.shape[-1]).sqrt()
    return matrix / size.clamp_min(1e-8)


def standardised(A: Tensor) -> Tensor:
    """Each channel of each picture of (B, C, H, W) with mean 0 and variance 1 over its pixels."""
    # in channels last three times as fast as torch.var_mean
    centred = A - A.mean((2, 3), keepdim=True)
    return centred * torch.rsqrt(centred.square().mean((2, 3), keepdim=True) + 1e-5)


def evened(A: Tensor) -> Tensor:
    """Each pixel of (B, C, H, W) with root mean square 1 over its channels: flat parts get as much style as others."""
    return A * torch.rsqrt(A.square().mean(1, keepdim=True) + 1e-4)


class LearnedGradient(nn.Module):
    """g_t of equation 10, one iteration with weights of its own.

    Args:
        width: L, channels of the first forward map.
        encoder_channels: c_l of the encoder's style layers.
        decoder: "heaviside": backward maps go through h(A) of the forward ones (equation 9); "relu": through ReLUs.
        norm: What is done to A_l before a gain and a shift, one of `NORMS`. "pixel": its channels at each pixel are
            divided by their root mean square; "instance": each channel is standardised over the picture; "none":
            nothing, as in the paper. Equation 10 stays as it is: f_l is a learned map in any case.
        filters: Of the style, or also of what it has more than the content, one of `FILTERS`; see `FlexibleSolver`.
    """

    def __init__(self, width: int, encoder_channels: Sequence[int], decoder: str, norm: str, filters: str) -> None:
        super().__init__()
        self.decoder = decoder
        self.norm = norm
        sizes = [width * factor for factor in WIDTHS]
        inputs = [3, *sizes[:-1]]
        self.forwards = nn.ModuleList(nn.Conv2d(i, o, 3) for i, o in zip(inputs, sizes, strict=True))
        self.backwards = nn.ModuleList(nn.Conv2d(o, i, 3, bias=False) for i, o in zip(inputs, sizes, strict=True))
        shapes = list(zip(encoder_channels, sizes, strict=True))
        self.G = nn.ParameterList(nn.Parameter(torch.empty(c, f)) for c, f in shapes)
        self.H = nn.ParameterList(nn.Parameter(torch.empty(c, f)) for c, f in shapes)
        if filters == "difference":
            self.K = nn.ParameterList(nn.Parameter(torch.empty(c, f)) for c, f in shapes)
        if norm != "none":
            self.gains = nn.ParameterList(nn.Parameter(torch.ones(f, 1, 1)) for f in sizes)
            self.shifts = nn.ParameterList(nn.Parameter(torch.zeros(f, 1, 1)) for f in sizes)
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """As in back-propagation: backward maps are the transposed forward ones, and H = -G descends."""
        for forward, backward in zip(self.forwards, self.backwards, strict=True):
            assert isinstance(forward, nn.Conv2d) and isinstance(backward, nn.Conv2d)
            nn.init.kaiming_normal_(forward.weight, nonlinearity="relu")
            nn.init.zeros_(forward.bias)  # type: ignore[arg-type]
            backward.weight.copy_(forward.weight.transpose(0, 1).flip(2, 3))
            gain = (forward.in_channels / forward.out_channels) ** 0.5
            backward.weight.mul_(gain)
        first = self.backwards[0]
        assert isinstance(first, nn.Conv2d)
        first.weight.mul_(0.02)
        for G, H in zip(self.G, self.H, strict=True):
            nn.init.normal_(G, std=G.shape[0] ** -0.5)
            H.copy_(-G)
        if hasattr(self, "K"):
            for K in self.K:
                K.zero_()

    def forward(self, x: Tensor, styles: Sequence[Conditioned], betas: Tensor) -> Tensor:
        """The update of x (B, 3, H, W). `betas` (B or 1, 5): weights of the levels."""
        maps: list[Tensor] = []  # A_l, before the ReLU
        f = x
        for level, conv in enumerate(self.forwards):
            if level:
                f = F.avg_pool2d(f, 2, ceil_mode=True, count_include_pad=False)
            A = conv(pad(f))
            if self.norm != "none":
                A = (evened(A) if self.norm == "pixel" else standardised(A)) * self.gains[level] + self.shifts[level]
            maps.append(A)
            f = F.relu(maps[-1])
        back: Tensor | None = None
        for level in reversed(range(LEVELS)):
            A = maps[level]
            push = self._filtered(F.relu(A), level, styles) * betas[:, level, None, None, None]
            if back is not None:
                push = push + F.interpolate(back, size=A.shape[-2:], mode="nearest")
            push = push * (A > 0) if self.decoder == "heaviside" else F.relu(push)
            back = self.backwards[level](pad(push))
        assert back is not None
        return back

    def _filtered(self, f: Tensor, level: int, styles: Sequence[Conditioned]) -> Tensor:
        """f (B, C, h, w) times the style filters Gᵀ(Gram H + difference K) (equation 7), each in its region."""
        B, C, h, w = f.shape
        total: Tensor | None = None
        for style in styles:
            wanted = style.grams[level].to(f.dtype) @ self.H[level]
            if style.difference is not None:
                wanted = wanted + style.difference[level].to(f.dtype) @ self.K[level]
            filters = self.G[level].mT @ wanted  # (B or 1, C, C)
            rows = f.permute(0, 2, 3, 1).reshape(B, h * w, C)
            part = (rows @ filters).view(B, h, w, C).permute(0, 3, 1, 2)
            if style.mask is not None:
                mask = style.mask
                part = part * F.interpolate(mask, size=(h, w), mode="area").to(f.dtype)
            total = part if total is None else total + part
        assert total is not None
        return total


@register_arch("flexible_solver")
class FlexibleSolver(nn.Module):
    """N learned iterations; see the module.

    Args:
        iterations: N.
        width: L.
        encoder: Name of the encoder whose Gram matrices this solver was trained for.
        encoder_width: Channels of that encoder's first layer.
        decoder: Non-linearity of the backward maps, one of `DECODERS`.
        norm: Of the forward maps, one of `NORMS`; see `LearnedGradient`.
        matrices: What equation 7 has between G and H, one of `MATRICES`. "gram": the style's Gram matrix over its own
            norm, as in the paper. Activations being positive, nearly all of that is in one eigenvalue, their mean, and
            textures hardly show. "root": its square root, in which they show more. "relative": the square root of
            W Gram W, where the average style's W Gram W is the identity: what differs between styles. All three do
            without the style's contrast; "whitened" is "relative" with it.
        filters: One of `FILTERS`. "style": equation 7. "difference": beside it Gᵀ(S - C)K, with the "whitened" matrices
            of the style and of the content; it is what the bracket of equation 5 is at X(0), of the encoder itself. The
            paper gave up that bracket, of its own maps, because it made the loss explode.
        usual_betas: β_l of the five levels with which this solver's pictures look best, for those who use it. Where β
            are not given here, in training and where the loss is compared, they are 1.

    Raises:
        ValueError: a number below 1, an unknown decoder, norm, kind of matrices or of filters, or β that are not five
            numbers of at least 0.
    """

    def __init__(
        self,
        iterations: int = 4,
        width: int = 16,
        encoder: str = "vgg19_half.tiny_imagenet",
        encoder_width: int = 32,
        decoder: str = "heaviside",
        norm: str = "pixel",
        matrices: str = "gram",
        filters: str = "style",
        usual_betas: Sequence[float] = (1.0,) * LEVELS,
    ) -> None:
        super().__init__()
        if min(iterations, width, encoder_width) < 1:
            raise ValueError(f"iterations, width, encoder_width: at least 1, got {(iterations, width, encoder_width)}")
        if decoder not in DECODERS:
            raise ValueError(f"decoder: one of {DECODERS}, got {decoder!r}")
        if norm not in NORMS:
            raise ValueError(f"norm: one of {NORMS}, got {norm!r}")
        if matrices not in MATRICES:
            raise ValueError(f"matrices: one of {MATRICES}, got {matrices!r}")
        if filters not in FILTERS:
            raise ValueError(f"filters: one of {FILTERS}, got {filters!r}")
        if filters == "difference" and matrices not in AVERAGED:
            raise ValueError(f"filters: differences go with matrices of {AVERAGED}, got {matrices!r}")
        if len(usual_betas) != LEVELS or not all(beta >= 0 for beta in usual_betas):
            raise ValueError(f"usual_betas: {LEVELS} numbers of at least 0, got {list(usual_betas)}")
        self.usual_betas = tuple(float(beta) for beta in usual_betas)
        self.matrices = matrices
        self.filters = filters
        self.encoder = encoder
        self.encoder_channels = [channels(encoder_width)[name] for name in STYLE_LAYERS]
        self.steps = nn.ModuleList(
            LearnedGradient(width, self.encoder_channels, decoder, norm, filters) for _ in range(iterations)
        )
        if matrices in AVERAGED:
            for level, c in enumerate(self.encoder_channels):
                self.register_buffer(f"whitening{level + 1}", torch.eye(c))

    @property
    def whitening(self) -> list[Tensor]:
        """W_l, the inverse square roots of the average style's Gram matrices."""
        return [self.get_buffer(f"whitening{level + 1}") for level in range(LEVELS)]

    @property
    def calibrated(self) -> bool:
        """Whether the average style is known, or not needed."""
        return self.matrices not in AVERAGED or not torch.equal(
            self.whitening[0].cpu(), torch.eye(len(self.whitening[0]))
        )

    @torch.no_grad()
    def calibrate(self, average: Sequence[Tensor]) -> None:
        """Set the average style: Gram matrices (c_l, c_l) of the five levels."""
        for W, gram in zip(self.whitening, average, strict=True):
            values, vectors = torch.linalg.eigh(gram.double())
            values = values.clamp_min(0) + RIDGE * values.mean()
            W.copy_((vectors * values.rsqrt()) @ vectors.mT)

    def iterate(
        self,
        content: Tensor,
        styles: Sequence[Style],
        betas: Tensor | None = None,
        prox: Operators | None = None,
    ) -> Iterator[Tensor]:
        """Yields X(1), …, X(N), not clipped.

        Args:
            content: X(0), (B, 3, H, W) in [0, 1]; any size from 1 pixel.
            styles: At least one. Several: each in its region.
            betas: β_l ≥ 0 of the five levels, (5,) or (B, 5); None: 1. All times one number is the global intensity.
            prox: P of equation 16, one operator or several in turn, applied after each update.

        Raises:
            ValueError: shapes that do not fit the solver.
        """
        B = self._check(content, styles)
        betas = content.new_ones(1, LEVELS) if betas is None else betas.to(content).reshape(-1, LEVELS)
        if len(betas) not in (1, B):
            raise ValueError(f"betas: (5,) or ({B}, 5), got {tuple(betas.shape)}")
        x, operator = content, in_turn(prox)
        conditioned = [self.conditioned(style) for style in styles]
        for step in self.steps:
            x = x - step(x, conditioned, betas)
            if operator is not None:
                x = operator(x)
            yield x

    def forward(
        self,
        content: Tensor,
        styles: Sequence[Style],
        betas: Tensor | None = None,
        prox: Operators | None = None,
        iterates: bool = False,
    ) -> Tensor | list[Tensor]:
        """X(N) clipped to [0, 1], or, with `iterates`, all of X(1) … X(N) as they are; arguments as in `iterate`."""
        made = list(self.iterate(content, styles, betas, prox))
        return made if iterates else made[-1].clamp(0, 1)

    def conditioned(self, style: Style) -> Conditioned:
        """The matrices that the filters are made of, such that what they filter keeps its size.

        Raises:
            ValueError: the filters are differences, and the style has no matrices of the content.
        """
        if self.matrices in AVERAGED:
            grams = self._whitened(style.grams)
            difference = None
            if self.filters == "difference":
                if style.own is None:
                    raise ValueError("styles: this solver needs the Gram matrices of the content too, see Style.own")
                difference = tuple(S - C for S, C in zip(grams, self._whitened(style.own), strict=True))
            if self.matrices == "relative":
                grams = tuple(even(matrix) for matrix in grams)
            return Conditioned(grams, style.mask, difference)
        if self.matrices == "root":
            return Conditioned(tuple(even(root(gram)) for gram in style.grams), style.mask)
        return Conditioned(tuple(normalised(gram) / gram.shape[-1] for gram in style.grams), style.mask)

    def _whitened(self, grams: Sequence[Tensor]) -> tuple[Tensor, ...]:
        pairs = zip(grams, self.whitening, strict=True)
        return tuple(root(W.to(gram) @ gram @ W.to(gram)) for gram, W in pairs)

    def golden_input(self) -> tuple[Tensor, list[Style]]:
        """A picture from a formula, Gram matrices of waves as its style, and of slower ones as its own."""
        axis = torch.arange(48) / 48
        picture = torch.stack([0.5 + 0.4 * torch.sin(9 * axis[:, None] + (5 + k) * axis) for k in range(3)])[None]

        def waves(pitch: float) -> tuple[Tensor, ...]:
            at = [torch.arange(c)[:, None] * torch.arange(1, 65) for c in self.encoder_channels]
            rows = [torch.sin(pitch * phase).relu() for phase in at]
            return tuple((row @ row.T / 64)[None] for row in rows)

        return picture, [Style(waves(0.7), own=waves(0.3) if self.filters == "difference" else None)]

    def _check(self, content: Tensor, styles: Sequence[Style]) -> int:
        if content.ndim != 4 or content.shape[1] != 3:
            raise ValueError(f"content: expected (B, 3, H, W), got {tuple(content.shape)}")
        if not styles:
            raise ValueError("styles: at least one")
        B = len(content)
        for style in styles:
            expected = [(c, c) for c in self.encoder_channels]
            fit = [
                [tuple(gram.shape[1:]) for gram in grams] == expected and all(len(gram) in (1, B) for gram in grams)
                for grams in (style.grams, style.own)
                if grams is not None
            ]
            if not all(fit):
                raise ValueError(f"styles: {self.encoder} has Gram matrices (B, c, c) with c = {self.encoder_channels}")
            if style.mask is not None and (
                style.mask.shape[2:] != content.shape[2:] or style.mask.shape[1] != 1 or len(style.mask) not in (1, B)
            ):
                raise ValueError(f"mask: expected (B or 1, 1, {content.shape[2]}, {content.shape[3]})")
        return B
