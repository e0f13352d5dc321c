"""`zoo.tasks.stylize_video`: files in and out, sound, stopping, and frames that follow each other."""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

av = pytest.importorskip("av")
pytest.importorskip("cv2")

from zoo.models.flexible_solver import FlexibleSolver, Style  # noqa: E402
from zoo.prox import TemporalConsistency  # noqa: E402
from zoo.stylize.prepared import prepare  # noqa: E402
from zoo.stylize.sequence import FrameStyler  # noqa: E402
from zoo.tasks import photo_stylize, stylize_video, stylize_video_steps  # noqa: E402
from zoo.video import VideoReader, dis_flow, flow_by, raft, trusted, warp  # noqa: E402

# the functions of zoo.tasks hide the modules of the same name
task = importlib.import_module("zoo.tasks.stylize_video")

RATE = 24_000
DUSK = "gallery:dusk"


class Same(nn.Module):
    """A network of one pass that changes nothing."""

    encoder: str | None = None

    def stylise(self, content: Tensor, styles, weights, intensity: float) -> Tensor:
        return content


class Flicker(Same):
    """Another colour at each call, as stylisation frame by frame has it."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def stylise(self, content: Tensor, styles, weights, intensity: float) -> Tensor:
        shift = 0.3 * torch.rand(1, 3, 1, 1, generator=self.generator)
        return 0.5 * content + shift


@pytest.fixture(scope="module")
def solver() -> FlexibleSolver:
    generator = torch.Generator().manual_seed(0)
    made = FlexibleSolver(2, 4).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return made


def scene(index: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A textured ground that moves to the left by two pixels a frame. (H, W, 3) uint8."""
    draw = np.random.default_rng(0)

    def noise(rows: int, columns: int, channels: int) -> np.ndarray:
        # colours are coarse: H.264 keeps a quarter of them
        small = Image.fromarray(draw.integers(0, 256, (rows, columns, 3), dtype=np.uint8))
        wide = np.asarray(small.resize((width + 160, height), Image.Resampling.BICUBIC), float)
        return wide[..., :channels]

    wide = 50 + 0.45 * noise(12, 48, 1) + 0.2 * noise(3, 8, 3)
    return wide[:, 2 * index : 2 * index + width].round().astype(np.uint8)


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """Writes the scene as H.264 in BT.601 without saying so, as small files are, with a tone."""

    def make(
        frames: int = 6, size: tuple[int, int] = (48, 64), sound: bool = True, times: list[float] | None = None
    ) -> Path:
        path = tmp_path / "clip.mp4"
        with av.open(str(path), "w") as container:
            video = container.add_stream("libx264", rate=Fraction(10), options={"crf": "4"})
            video.height, video.width, video.pix_fmt = *size, "yuv420p"
            if times is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            audio = container.add_stream("aac", rate=RATE, layout="mono") if sound else None
            for index in range(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(scene(index, *size)), format="rgb24")
                if times is not None:
                    frame.pts, frame.time_base = round(1000 * times[index]), Fraction(1, 1000)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            if audio is not None:
                wave = (0.4 * np.sin(np.arange(int(RATE * frames / 10)) / 10)).astype(np.float32)
                for start in range(0, len(wave), 1024):
                    piece = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
                    piece.sample_rate, piece.pts, piece.time_base = RATE, start, Fraction(1, RATE)
                    container.mux(audio.encode(piece))
                container.mux(audio.encode(None))
        return path

    return make


def pictures(path: Path) -> list[Tensor]:
    with VideoReader(path) as reader:
        return [frame.image for frame in reader]


def frames_of(count: int, height: int = 48, width: int = 64) -> list[Tensor]:
    return [torch.from_numpy(scene(i, height, width).copy()).permute(2, 0, 1)[None].float() / 255 for i in range(count)]


def test_frames_colours_times_and_sound_stay(clip: Callable[..., Path], tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.25, 0.3, 0.5, 0.6]
    source, target = clip(times=times), tmp_path / "out.mp4"
    info = stylize_video(source, target, DUSK, style_size=32, model=Same(), temporal="off")
    assert (info.frames, info.width, info.height, info.sound) == (6, 64, 48, True)
    with VideoReader(target) as reader:
        found = list(reader)
        assert reader.has_audio and reader._stream.codec_context.name == "h264"
    assert [frame.time for frame in found] == pytest.approx(times, abs=2e-3)
    for before, after in zip(pictures(source), found, strict=True):
        assert (before - after.image).abs().mean() < 0.012, "the same colours, whichever matrix the files use"
    with av.open(str(target)) as container:
        seconds = sum(frame.samples for frame in container.decode(audio=0)) / RATE
    assert seconds == pytest.approx(0.6, abs=0.1)
    assert info.warping_error is not None and info.warping_error < 1e-3, "a scene that moves is consistent with itself"


def test_steps_say_how_far_it_is(clip: Callable[..., Path], tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    steps = list(stylize_video_steps(clip(), target, DUSK, style_size=32, model=Same(), size=32, frames=4))
    assert [step.frame for step in steps] == [1, 2, 3, 4] and [step.frames for step in steps] == [4] * 4
    assert [step.done for step in steps] == [False] * 3 + [True]
    assert [step.progress for step in steps] == [0.25, 0.5, 0.75, 1.0]
    assert steps[0].image.size == (32, 24) and steps[0].seconds_left is not None and steps[-1].seconds_left == 0
    assert len(pictures(target)) == 4 and pictures(target)[0].shape[-2:] == (24, 32)
    assert json.loads(json.dumps(steps[-1].info.to_dict()))["frames"] == 4


def test_whoever_stops_keeps_what_is_done(clip: Callable[..., Path], tmp_path: Path) -> None:
    source, target = clip(frames=12), tmp_path / "out.mp4"
    steps = stylize_video_steps(source, target, DUSK, style_size=32, model=Same())
    for step in steps:
        if step.frame == 3:
            break
    assert not target.exists(), "it is not whole yet"
    steps.close()
    assert len(pictures(target)) == 3 and not list(tmp_path.glob(".out*"))
    with av.open(str(target)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) / RATE == pytest.approx(0.3, abs=0.06)


def test_a_damaged_end_keeps_what_came_before(clip: Callable[..., Path], tmp_path: Path, monkeypatch) -> None:
    class Damaged(VideoReader):
        def __iter__(self):
            for frame in super().__iter__():
                if frame.index == 4:
                    raise ValueError("damaged video")
                yield frame

    monkeypatch.setattr(task, "VideoReader", Damaged)
    with pytest.raises(ValueError, match="damaged"):
        stylize_video(clip(), tmp_path / "out.mp4", DUSK, style_size=32, model=Same())
    assert len(pictures(tmp_path / "out.mp4")) == 4


def test_memory_does_not_grow_with_the_length(clip: Callable[..., Path], tmp_path: Path, monkeypatch) -> None:
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    class Watched(VideoReader):
        def _picture(self, frame) -> Tensor:
            nonlocal most
            picture = super()._picture(frame)
            alive.append(weakref.ref(picture))
            gc.collect()
            most = max(most, sum(one() is not None for one in alive))
            return picture

    monkeypatch.setattr(task, "VideoReader", Watched)
    info = stylize_video(clip(frames=30, sound=False), tmp_path / "out.mp4", DUSK, style_size=32, model=Flicker())
    assert info.frames == len(alive) == 30 and most <= 4 and not info.sound


def test_one_pass_is_drawn_to_the_last_result_moved_along() -> None:
    engine = prepare(DUSK, (48, 64), model=Flicker(), style_size=32, place=torch.device("cpu"), max_pixels=None)
    plain = prepare(DUSK, (48, 64), model=Flicker(), style_size=32, place=torch.device("cpu"), max_pixels=None)
    styler, free = FrameStyler(engine, dis_flow, temporal_lam=0.37), FrameStyler(plain, dis_flow, temporal="off")
    frames, last = frames_of(4), None
    for index, frame in enumerate(frames):
        found, alone = styler(frame), free(frame)
        if last is None:
            assert torch.equal(found.image, alone.image) and found.error is None
        else:
            there, back = dis_flow(frame, frames[index - 1]), dis_flow(frames[index - 1], frame)
            moved, mask = warp(last, there), trusted(there, back)
            expected = TemporalConsistency(moved, mask, 0.37)(alone.image)
            torch.testing.assert_close(found.image, expected.clamp(0, 1))
            far = (mask * (expected - moved)).square().sum() / (3 * mask.sum())
            assert found.error == pytest.approx(float(far), rel=1e-4)
            assert found.error < 0.6 * alone.error
        last = found.image


def test_a_solver_applies_it_inside_or_after(solver: FlexibleSolver) -> None:
    frames, betas = frames_of(2), torch.full((5,), 5.0)
    engine = prepare(
        DUSK, (48, 64), model=solver, intensity=5.0, style_size=32, place=torch.device("cpu"), max_pixels=None
    )
    style = Style(tuple(engine.grams().values()))
    there, back = dis_flow(frames[1], frames[0]), dis_flow(frames[0], frames[1])
    for temporal in ("off", "after", "inside"):
        styler = FrameStyler(engine, dis_flow, temporal=temporal, temporal_lam=2.0)
        _, second = (styler(frame) for frame in frames)
        with torch.no_grad():
            before = list(solver.iterate(frames[0], [style], betas))
            proxes = [TemporalConsistency(warp(x, there), trusted(there, back), 2.0) for x in before]
            if temporal == "inside":
                turns = iter(proxes)
                *_, expected = solver.iterate(frames[1], [style], betas, lambda x, turns=turns: next(turns)(x))
            else:
                *_, expected = solver.iterate(frames[1], [style], betas)
        expected = expected.clamp(0, 1)
        if temporal == "after":
            prox = TemporalConsistency(warp(before[-1].clamp(0, 1), there), trusted(there, back), 2.0)
            expected = prox(expected).clamp(0, 1)
        torch.testing.assert_close(second.image, expected, rtol=1e-4, atol=1e-5)
        assert second.iterations == 2 and (second.image - frames[1]).abs().mean() > 1e-3


def test_a_scene_that_stands_still_is_not_stylised_again_and_again(solver: FlexibleSolver) -> None:
    engine = prepare(
        DUSK, (48, 64), model=solver, intensity=5.0, style_size=32, place=torch.device("cpu"), max_pixels=None
    )
    styler = FrameStyler(engine, dis_flow, temporal_lam=2.0)
    first, *_, last = (styler(frames_of(1)[0]).image for _ in range(5))
    torch.testing.assert_close(last, first, rtol=0, atol=2e-3)


def test_an_optimisation_begins_at_the_last_result() -> None:
    engine = prepare(DUSK, (32, 32), model="gatys", steps=3, style_size=32, place=torch.device("cpu"), max_pixels=None)
    frames = [frames_of(1, 32, 32)[0]] * 2
    errors = {}
    for temporal in ("off", "inside"):
        styler = FrameStyler(engine, dis_flow, temporal=temporal, temporal_lam=100.0)
        first, second = (styler(frame) for frame in frames)
        errors[temporal] = float((first.image - second.image).abs().mean())
    assert errors["off"] == 0, "the same frame, the same result"
    assert errors["inside"] < 0.01, "three more iterations change little under so strong a term"
    assert (first.image - frames[0]).abs().mean() > 0.02


def test_photo_mode_is_the_photo_job_for_each_frame(
    solver: FlexibleSolver, clip: Callable[..., Path], tmp_path
) -> None:
    source = clip(frames=2, sound=False)
    made = list(
        stylize_video_steps(
            source,
            tmp_path / "out.mp4",
            DUSK,
            "photo",
            style_size=32,
            model=solver,
            temporal="off",
            photo_lam=7.0,
        )
    )
    for step, content in zip(made, pictures(source), strict=True):
        expected = photo_stylize(content, DUSK, lam=7.0, style_size=32, model=solver)[0]
        found = torch.from_numpy(np.asarray(step.image).copy()).permute(2, 0, 1) / 255
        assert (found - expected).abs().max() < 0.01
    assert made[-1].info.photo_lam == 7.0


def test_odd_sizes_and_side_by_side(clip: Callable[..., Path], tmp_path: Path) -> None:
    target = tmp_path / "both.mp4"
    info = stylize_video(
        clip(frames=2, size=(48, 64)), target, DUSK, style_size=32, model=Flicker(), size=33, side_by_side=True
    )
    (first, _) = pictures(target)
    assert info.width == 66 and first.shape[-2:] == (26, 66), "25 rows, and one that H.264 needs"
    small = frames_of(1)[0]
    left = torch.nn.functional.interpolate(small, (25, 33), mode="bicubic", antialias=True)
    assert (first[..., :25, :33] - left).abs().mean() < 0.05
    assert (first[..., 33:] - first[..., :33]).abs().mean() > 0.05


def test_raft_where_its_weights_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optical_flow = pytest.importorskip("torchvision.models.optical_flow")
    monkeypatch.setenv("NEURAL_SOLVER_ZOO_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    assert flow_by("auto")[0] == "dis"
    with pytest.raises(FileNotFoundError, match="raft needs"):
        flow_by("raft")
    torch.manual_seed(0)
    network = optical_flow.raft_small(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "made.pth")
    digest = hashlib.sha256((tmp_path / "made.pth").read_bytes()).hexdigest()
    (tmp_path / "made.pth").rename(tmp_path / f"raft-{digest[:8]}.pth")
    monkeypatch.setattr(raft, "FILES", {"raft_small": f"raft-{digest[:8]}.pth"})
    name, flow = flow_by("auto")
    first, second = frames_of(2, 130, 140)
    found = flow(first, second)
    assert name == "raft" and found.shape == (1, 2, 130, 140) and found.isfinite().all()
    with torch.no_grad():
        wide = [nn.functional.pad(one, (0, 4, 0, 6), mode="replicate") * 2 - 1 for one in (first, second)]
        torch.testing.assert_close(found, network(*wide)[-1][..., :130, :140], rtol=1e-3, atol=1e-3)
    monkeypatch.setattr(raft, "FILES", {"raft_small": "raft-00000000.pth"})
    (tmp_path / "raft-00000000.pth").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="damaged"):
        flow_by("raft")[1](first, second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "out.avi"}, "written as .mp4"),
        ({"frames": 0}, "frames: "),
        ({"size": 8}, "size: "),
        ({"mode": "cartoon"}, "mode: one of"),
        ({"temporal": "always"}, "temporal: one of"),
        ({"temporal_lam": -1}, "lam"),
        ({"photo_lam": float("inf")}, "lam"),
        ({"flow": "magic"}, "flow: one of"),
        ({"style": None}, "style: "),
        ({"steps": 2}, "one pass"),
        ({"max_pixels": 100}, "too large"),
    ],
)
def test_what_is_refused(clip: Callable[..., Path], tmp_path: Path, options: dict, message: str) -> None:
    arguments = {"target": "out.mp4", "style": DUSK, "style_size": 32, "model": Same()} | options
    target = tmp_path / str(arguments.pop("target"))
    with pytest.raises(ValueError, match=message):
        stylize_video_steps(clip(frames=2), target, **arguments)
    assert not target.exists()


def test_wrong_files(clip: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    source = clip(frames=2)
    with pytest.raises(ValueError, match="not a readable video"):
        stylize_video_steps(tmp_path / "text.mp4", tmp_path / "out.mp4", DUSK)
    with pytest.raises(FileNotFoundError, match="no such file"):
        stylize_video_steps(tmp_path / "nowhere.mp4", tmp_path / "out.mp4", DUSK)
    with pytest.raises(ValueError, match="the source itself"):
        stylize_video_steps(source, source, DUSK)
