"""`zoo.tasks.restore` and its verbs: what is kept, what comes back, budgets, priors of all kinds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

import zoo
from zoo import registry
from zoo.cli import app
from zoo.models.latent import LatentModel
from zoo.models.lcm import LCM
from zoo.restore.degradation import Downsample
from zoo.restore.fit import fit_latents, frozen
from zoo.restore.frame import Frame, square_around
from zoo.restore.problem import Kinds, Problem, parse_kinds
from zoo.tasks import interpolate_steps, restore, restore_steps, sample

CONFIGS: dict[str, dict[str, Any]] = {
    "lcm": {"size": 64, "width": 1 / 32},
    "glo": {"size": 64, "width": 1 / 32},
    "glo_vector": {"size": 32, "dim": 8, "width": 16},
    "ae": {"size": 32, "dim": 8, "width": 16},
    "wgan_gp": {"size": 32, "dim": 8, "width": 16},
    "dip": {"width": 8, "levels": 3},
    "lcm_sampler": {"count": 4, "rank": 3},
    "lcm_encoder": {"size": 64, "rank": 4, "width": 16},
}


@pytest.fixture
def priors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained priors of each kind, `<arch>.tiny`, the same every time."""
    build = registry.build

    def seeded(arch: str, config: Any) -> Any:
        torch.manual_seed(0)
        module = build(arch, config)
        if isinstance(module, LatentModel):  # statistics as after training: fresh ones let no latent through
            generator = torch.Generator().manual_seed(0)
            for norm in module.modules():
                if isinstance(norm, torch.nn.BatchNorm2d):
                    norm.momentum = None
            with torch.no_grad():
                module.train()(torch.stack([module.start(generator) for _ in range(8)]))
        if arch == "lcm_sampler":
            module.basis.copy_(torch.randn(module.basis.shape))
        return module

    monkeypatch.setattr(registry, "build", seeded)
    for arch, config in CONFIGS.items():
        entry = zoo.Entry(
            name=f"{arch}.tiny",
            summary="an untrained prior",
            tasks=("sample",) if arch == "lcm_sampler" else ("start",) if arch == "lcm_encoder" else ("restore",),
            paper=zoo.registry.Paper("none", "0"),
            licence="Apache-2.0",
            config=config,
            input=zoo.registry.InputSpec(3),
            num_params=0,
            supports_half=True,
        )
        monkeypatch.setitem(registry._entries(), entry.name, entry)


def picture(height: int = 40, width: int = 56) -> Image.Image:
    y, x = np.mgrid[:height, :width] / 40
    planes = [0.5 + 0.3 * np.sin(4 * (x * k + y) + k) for k in (1, 2, 3)]
    return Image.fromarray((255 * np.stack(planes, -1)).astype(np.uint8))


def hole(height: int = 40, width: int = 56) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[10:20, 30:44] = True
    return mask


@pytest.mark.parametrize("model", ["lcm.tiny", "glo.tiny", "glo_vector.tiny", "ae.tiny", "wgan_gp.tiny", "dip.tiny"])
def test_known_pixels_stay(priors: None, model: str) -> None:
    image, mask = picture(), hole()
    result, info = restore(image, "inpaint", mask, model, steps=3, return_info=True)
    assert result.mode == "RGB" and result.size == image.size
    known = ~mask
    assert np.array_equal(np.asarray(result)[known], np.asarray(image)[known]), "to the bit"
    assert not np.array_equal(np.asarray(result)[mask], np.asarray(image)[mask])
    assert info.steps == 3 and 0 < info.energy < 1 and info.model == model
    # what was in the hole makes no difference
    other = np.asarray(image).copy()
    other[mask] = 255
    again = restore(Image.fromarray(other), "inpaint", mask, model, steps=3)
    assert np.array_equal(np.asarray(result), np.asarray(again))


@pytest.mark.parametrize("model", ["lcm.tiny", "dip.tiny"])
def test_no_seam(priors: None, model: str) -> None:
    """The step across the rim is not larger than the steps on both sides of it."""
    image, mask = picture(64, 64), np.zeros((64, 64), bool)
    mask[20:40, 24:44] = True
    made = np.asarray(restore(image, "inpaint", mask, model, steps=5)).astype(float)
    across = np.abs(made[19, 24:44] - made[20, 24:44]).mean()
    outside = np.abs(made[17, 24:44] - made[19, 24:44]).mean() / 2
    inside = np.abs(made[20, 24:44] - made[22, 24:44]).mean() / 2
    assert across <= 1.5 * max(outside, inside) + 2


def test_grey_value_stays(priors: None) -> None:
    grey = picture(64, 64).convert("L")
    made = np.asarray(restore(grey, "colourise", model="lcm.tiny", steps=3)).astype(float)
    assert made.shape == (64, 64, 3)
    inside = (made.min(-1) > 0) & (made.max(-1) < 255)
    assert np.abs(made.mean(-1) - np.asarray(grey))[inside].max() <= 1, "but for rounding"
    assert np.abs(made[..., 0] - made[..., 2]).max() > 1


@pytest.mark.parametrize("model", ["lcm.tiny", "dip.tiny"])
@pytest.mark.parametrize("factor", [2, 4])
def test_enlargement(priors: None, model: str, factor: int) -> None:
    image = np.asarray(picture(16, 20))
    made = restore(image, f"x{factor}", model=model, steps=3)
    assert made.shape == (16 * factor, 20 * factor, 3) and made.dtype == np.uint8


def test_several_at_once(priors: None) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[4:8, 4:8] = 255
    made = restore(picture(16, 16).convert("L"), ["colourise", "x4", "inpaint"], mask, "lcm.tiny", steps=2)
    assert made.size == (64, 64) and made.mode == "RGB"
    made = restore(picture(16, 16), "inpaint+denoise", Image.fromarray(mask), "dip.tiny", steps=2)
    assert made.size == (16, 16)


@pytest.mark.parametrize("degradation", ["jpeg", "denoise"])
def test_untrusted_pixels_change(priors: None, degradation: str) -> None:
    image = picture(64, 64)
    assert np.array_equal(np.asarray(restore(image, degradation, model="lcm.tiny", steps=2)).shape, (64, 64, 3))
    made = restore(image, degradation, model="lcm.tiny", steps=2)
    assert not np.array_equal(np.asarray(made), np.asarray(image))


def test_box_and_what_is_around_it(priors: None) -> None:
    image = picture(64, 96)
    made = np.asarray(restore(image, "denoise", model="lcm.tiny", steps=2, box=[40, 10, 32]))
    outside = np.ones((64, 96), bool)
    outside[10:42, 40:72] = False
    assert np.array_equal(made[outside], np.asarray(image)[outside])
    assert not np.array_equal(made[~outside], np.asarray(image)[~outside])
    # a box beyond the edge
    info = restore(image, "denoise", model="lcm.tiny", steps=1, box=[-10, -10, 40], return_info=True)[1]
    assert info.box == (-10, -10, 40, 40)


def test_kinds_of_pictures(priors: None) -> None:
    mask = hole()
    array = np.asarray(picture())
    for source in (array, array[..., 0], array.astype(np.float32) / 255):
        made = restore(source, "inpaint", mask, "dip.tiny", steps=2)
        assert made.shape == source.shape and made.dtype == source.dtype
        assert np.array_equal(made[~mask], source[~mask])
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    made = restore(tensor, "inpaint", torch.from_numpy(mask), "dip.tiny", steps=2)
    assert made.shape == tensor.shape and torch.equal(made[:, ~mask], tensor[:, ~mask])
    alpha = picture().convert("RGBA")
    assert restore(alpha, "inpaint", mask, "dip.tiny", steps=2).mode == "RGBA"


def test_steps_are_repeatable_and_watched(priors: None) -> None:
    states = list(restore_steps(picture(), "inpaint", hole(), "lcm.tiny", steps=4, seed=3, every=0))
    assert [state.done for state in states] == [False] * 4 + [True]
    assert states[-1].progress == 1 and [state.info.steps for state in states] == [1, 2, 3, 4, 4]
    energies = [state.info.energy for state in states]
    assert energies == sorted(energies, reverse=True), "the best so far"
    alone = restore(picture(), "inpaint", hole(), "lcm.tiny", steps=4, seed=3)
    assert np.array_equal(np.asarray(alone), np.asarray(states[-1].image))
    other = restore(picture(), "inpaint", hole(), "lcm.tiny", steps=4, seed=4, start="seed")
    assert not np.array_equal(np.asarray(alone), np.asarray(other))


def test_time_budget(priors: None) -> None:
    info = restore(picture(), "inpaint", hole(), "lcm.tiny", seconds=0.3, return_info=True)[1]
    assert info.steps >= 1 and info.seconds >= 0.3


def test_encoder_gives_the_start(priors: None) -> None:
    info = restore(picture(), "inpaint", hole(), "lcm.tiny", steps=1, return_info=True)[1]
    assert info.start == "encoder" and info.space == "phi"
    info = restore(picture(), "inpaint", hole(), "lcm.tiny", steps=1, start="seed", space="z", return_info=True)[1]
    assert info.start == "seed" and info.space == "z"


def test_fit_descends_and_images_are_independent() -> None:
    torch.manual_seed(0)
    model = LCM(64, 1 / 32).eval()
    target = torch.rand(2, 3, 1, 1, generator=torch.Generator().manual_seed(0)).expand(2, 3, 64, 64)

    def energy(index: slice) -> Any:
        return lambda x: (x - target[index]).square().flatten(1).mean(1)

    with frozen(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
        first = [fit.energy for fit in fit_latents(model, energy(slice(None)), 2, steps=20, pull=0)]
        alone = [fit.energy for fit in fit_latents(model, energy(slice(1, 2)), 1, steps=20, pull=0)]
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert (first[-1] < first[0]).all()
    # bfloat16 rounds a little differently in batches of another size
    torch.testing.assert_close(first[-1][1:], alone[-1], rtol=0.05, atol=1e-4)


class Linear(LatentModel):
    """A prior of two numbers, each the brightness of half of a picture."""

    size = 4
    latent_shape = (2,)

    def __init__(self) -> None:
        super().__init__()
        self.fit = {"lr": 0.05, "spaces": ("z",), "pull_z": 0.3}

    def decode(self, latent: Tensor) -> Tensor:
        return latent.repeat_interleave(2, 1)[:, None, None].expand(-1, 3, 4, -1)

    def start(self, generator: torch.Generator) -> Tensor:
        return torch.tensor([0.6, 0.8])


@pytest.mark.parametrize("pull", [0.0, 0.1, None])
def test_pull_is_a_gaussian_prior_about_the_start(pull: float | None) -> None:
    known = torch.tensor([1.0, 1, 0, 0])

    def energy(x: Tensor) -> Tensor:
        return ((x - 0.2).square() * known).sum((1, 2, 3)) / 24

    *_, fit = fit_latents(Linear(), energy, 1, steps=600, pull=pull)
    # of the known number z: (z − 0.2)² + pull · (z − 0.6)² is least, as mean(φ₀²) = 1/2
    pull = 0.3 if pull is None else pull
    expected = torch.tensor([[(0.2 + pull * 0.6) / (1 + pull), 0.8]])
    torch.testing.assert_close(fit.best, expected, atol=2e-3, rtol=0)
    assert float(fit.best_energy[0]) == pytest.approx(float(energy(Linear().decode(expected))), abs=2e-3)


def test_dip_restores_a_smooth_picture() -> None:
    image = Image.fromarray(np.asarray(picture(32, 32)))
    mask = np.zeros((32, 32), bool)
    mask[12:20, 12:20] = True
    made = np.asarray(restore(image, "inpaint", mask, "dip.small", steps=40)).astype(float)
    error = np.abs(made - np.asarray(image))[mask].mean()
    flat = np.abs(np.asarray(image)[~mask].mean(0) - np.asarray(image))[mask].mean()
    assert error < 0.7 * flat, "better than the mean of what is known"


def test_square_covers_the_holes() -> None:
    known = torch.ones(40, 100, dtype=torch.bool)
    assert square_around(known) == (30, 0, 40, 40)
    known[5:9, 80:90] = False
    left, top, width, height = square_around(known)
    assert (top, width, height) == (0, 40, 40) and left <= 80 and left + 40 >= 90


def test_problem_of_the_priors_own_size_is_exact() -> None:
    x = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    y = Downsample(4).forward(x[None])[0]
    problem = Problem(Kinds(factor=4), y, torch.ones(16, 16, dtype=torch.bool), Frame((0, 0, 16, 16)), (64, 64))
    assert torch.equal(problem.evidence[0], y)
    assert float(problem.degradation.energy(x[None], problem.evidence)[0]) < 1e-12
    torch.testing.assert_close(problem.compose(x), x)


def test_samples_and_interpolation(priors: None) -> None:
    drawn = sample("lcm.tiny", 3, seed=1)
    assert drawn.shape == (3, 3, 64, 64) and torch.equal(drawn, sample("lcm.tiny", 3, seed=1))
    assert not torch.equal(drawn, sample("lcm.tiny", 3, seed=2))
    assert sample("wgan_gp.tiny", 2).shape == (2, 3, 32, 32)
    *_, last = interpolate_steps(picture(64, 64), picture(40, 56), "lcm.tiny", 5, steps=3)
    assert last.done and last.frames.shape == last.crossfade.shape == (5, 3, 64, 64)
    expected = torch.from_numpy(np.asarray(picture(64, 64)).copy()).permute(2, 0, 1) / 255
    torch.testing.assert_close(last.crossfade[0], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(last.crossfade[2], (last.crossfade[0] + last.crossfade[4]) / 2)
    with pytest.raises(ValueError, match="no glo_sampler"):
        sample("glo.tiny")
    with pytest.raises(ValueError, match="no latent"):
        interpolate_steps(picture(), picture(), "dip.tiny")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"degradation": "sharpen"}, "degradation"),
        ({"degradation": "x2+x4"}, "one enlargement"),
        ({"mask": None}, "needs one"),
        ({"mask": np.zeros((40, 56), bool)}, "empty"),
        ({"mask": np.ones((40, 56), bool)}, "whole picture"),
        ({"mask": np.ones((4, 5), bool)}, "as large as"),
        ({"model": "tv2d.isotropic"}, "for denoise"),
        ({"steps": 1, "seconds": 1.0}, "not both"),
        ({"steps": 0}, "positive"),
        ({"box": [100, 0, 20]}, "outside"),
        ({"box": "nose"}, "box"),
        ({"space": "w"}, "space"),
        ({"start": "here"}, "start"),
    ],
)
def test_refusals(priors: None, arguments: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"degradation": "inpaint", "mask": hole(), "model": "lcm.tiny", **arguments}
    with pytest.raises(ValueError, match=message):
        next(restore_steps(picture(), **given))


def test_words() -> None:
    assert parse_kinds("colourise + x4+inpaint") == Kinds(grey=True, factor=4, holes=True)
    assert parse_kinds(["jpeg"]).soft and parse_kinds("inpaint").keeps and not parse_kinds("x2").keeps


def test_verbs(priors: None, tmp_path: Path) -> None:
    source, mask = tmp_path / "a.png", tmp_path / "mask.png"
    picture().save(source)
    Image.fromarray(hole()).save(mask)
    run = CliRunner().invoke
    done = run(app, ["restore", str(source), "--mask", str(mask), "--model", "dip.tiny", "--steps", "2", "--json"])
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert record["steps"] == 2 and record["degradation"] == "inpaint"
    made = np.asarray(Image.open(tmp_path / "a_restored.png"))
    assert np.array_equal(made[~hole()], np.asarray(picture())[~hole()])
    done = run(
        app, ["restore", str(source), "--mask", "centre", "--box", "1,2,30", "--model", "lcm.tiny", "--steps", "1"]
    )
    assert done.exit_code == 0, done.output
    for bad in (["--mask", str(mask), "-o", str(source)], [], ["--task", "x2", "--box", "a,b,c"], ["-o", "r.jpg"]):
        done = run(app, ["restore", str(source), *bad])
        assert done.exit_code == 2 and "Traceback" not in done.output
    out = tmp_path / "row.png"
    assert run(app, ["sample", "--model", "lcm.tiny", "--count", "2", "-o", str(out)]).exit_code == 0
    assert Image.open(out).size == (128, 64)
    arguments = ["interpolate", str(source), str(source), "-o", str(out), "--model", "lcm.tiny", "--frames", "3"]
    assert run(app, [*arguments, "--steps", "2"]).exit_code == 0
    assert Image.open(out).size == (192, 128)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
def test_an_enlarged_picture_explains_the_small_one(channels: int, size: tuple[int, int]) -> None:
    """Whatever the prior made: a smooth small picture comes out again when the result is made small."""
    y, x = torch.meshgrid(*(torch.linspace(0, 3, side) for side in size), indexing="ij")
    small = torch.stack([0.5 + 0.2 * torch.sin(x + k * y) for k in range(channels)])
    side = min(size)
    problem = Problem(
        Kinds(grey=channels == 1, factor=4),
        small,
        torch.ones(size, dtype=torch.bool),
        Frame((0, 0, side, side)),
        (64, 64),
    )
    made = problem.compose(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4)
    assert made.shape == (3, 4 * size[0], 4 * size[1])
    again = Downsample(4).forward(made[None])[0]
    again = again.mean(0, keepdim=True) if channels == 1 else again
    assert float((again - small).abs().max()) < 0.01
