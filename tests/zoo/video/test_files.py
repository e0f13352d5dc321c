"""Video files: what is written is read again, sound included; drawn clips, no files of ours."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

av = pytest.importorskip("av")

from zoo.video import VideoReader, VideoWriter  # noqa: E402

RATE, FLASH, TONE = 24_000, 0.6, 440.0  # samples a second; when the picture turns bright and the tone begins; Hz


def drawn(index: int, height: int, width: int, fps: float) -> np.ndarray:
    """A dark picture with a bright corner, upper left; bright as a whole from FLASH on. (H, W, 3) uint8."""
    picture = np.full((height, width, 3), (40, 60, 90) if index / fps < FLASH else (200, 180, 150), dtype=np.uint8)
    picture[: height // 3, : width // 3] = (250, 30, 30)
    return picture


def make(
    path: Path,
    size: tuple[int, int] = (48, 64),
    frames: int = 30,
    fps: Fraction = Fraction(25),
    sound: str | None = "aac",
    rotation: int = 0,
    times: list[float] | None = None,
    tail: float = 0.0,
) -> Path:
    """A clip that is made by PyAV alone. The tone begins when the picture turns bright."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"crf": "10"})
        video.height, video.width, video.pix_fmt = *size, "yuv420p"
        if times is not None:
            video.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            video.set_display_rotation(rotation)
        audio = container.add_stream(sound, rate=RATE, layout="mono") if sound else None
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(drawn(index, *size, float(fps)), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(1000 * times[index]), Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            at = np.arange(int(RATE * (frames / fps + Fraction(tail)))) / RATE
            wave = (0.5 * np.sin(2 * np.pi * TONE * at) * (at >= FLASH)).astype(np.float32)
            for start in range(0, len(wave), 1024):
                piece = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
                piece.sample_rate, piece.pts, piece.time_base = RATE, start, Fraction(1, RATE)
                container.mux(audio.encode(piece))
            container.mux(audio.encode(None))
    return path


def heard(path: Path) -> tuple[np.ndarray, int]:
    """The sound, in time (the file's start is at 0), and its samples a second."""
    with av.open(str(path)) as container:
        start = container.start_time / 1e6
        pieces = []
        for frame in container.decode(audio=0):
            first = round((float(frame.pts * frame.time_base) - start) * frame.sample_rate)
            values = frame.to_ndarray()
            values = values.mean(0) if frame.format.is_planar else values.ravel()
            pieces.append((first, values / (1 if values.dtype.kind == "f" else 32768), frame.sample_rate))
    wave = np.zeros(pieces[-1][0] + len(pieces[-1][1]))
    for first, values, _ in pieces:
        wave[max(first, 0) : first + len(values)] = values[max(-first, 0) :]
    return wave, pieces[0][2]


def onset(path: Path) -> float:
    """Seconds until the tone is at half its loudness."""
    wave, rate = heard(path)
    loud = np.sqrt(np.convolve(wave**2, np.ones(120) / 120, mode="same"))
    return float(np.argmax(loud > 0.5 * loud.max()) / rate)


def copy(source: Path, target: Path, stop: int | None = None) -> Path:
    with VideoReader(source) as reader, VideoWriter(target, source=reader) as writer:
        for frame in reader:
            if frame.index == stop:
                break
            writer.write(frame.image, frame.time)
    return target


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001)])
def test_round_trip_keeps_frames_colours_rate_and_sound(tmp_path, fps):
    source = make(tmp_path / "in.mp4", fps=fps)
    target = copy(source, tmp_path / "out" / "copy.mp4")
    with VideoReader(target) as video:
        assert (video.width, video.height, video.frames) == (64, 48, 30)
        assert abs(video.rate - fps) < 0.01 and video.has_audio
        assert video.duration == pytest.approx(float(30 / fps), abs=0.05)
        frames = list(video)
    assert [f.index for f in frames] == list(range(30))
    assert [f.time for f in frames] == pytest.approx([float(i / fps) for i in range(30)], abs=1e-3)
    for index in (0, 29):
        expected = torch.from_numpy(drawn(index, 48, 64, float(fps))).permute(2, 0, 1)[None] / 255
        far = (frames[index].image - expected).abs()
        assert far[..., 4:12, 4:16].max() < 0.03 and far[..., 24:, 32:].max() < 0.03  # away from the edge of colours
    bright = next(f.time for f in frames if f.image[..., 40:, 40:].mean() > 0.5)
    assert onset(target) == pytest.approx(bright, abs=1 / float(fps))
    assert onset(target) == pytest.approx(onset(source), abs=2e-3)
    wave, rate = heard(target)
    part = wave[int(0.7 * rate) : int(1.0 * rate)]
    assert np.argmax(np.abs(np.fft.rfft(part))) * rate / len(part) == pytest.approx(TONE, abs=10)
    assert list(tmp_path.glob("**/.*")) == []


def test_h264_that_browsers_play(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10) as writer:
        for value in (0.0, 0.5, 1.0):
            writer.write(torch.full((3, 20, 20), value))
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, int(context.colorspace)) == ("h264", "yuv420p", 1)
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # playback starts before the file has come


@pytest.mark.parametrize("size", [(1, 1), (47, 63), (48, 63), (47, 64)])
def test_odd_sizes_get_their_last_row_or_column_twice(tmp_path, size):
    ramp = torch.linspace(0.1, 0.9, size[1]).expand(3, *size)
    with VideoWriter(tmp_path / "a.mp4", 10, crf=5) as writer:
        for _ in range(3):
            writer.write(ramp)
    with VideoReader(tmp_path / "a.mp4") as video:
        assert (video.height, video.width) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
        image = next(iter(video)).image
    assert (image[0, :, : size[0], : size[1]] - ramp).abs().max() < 0.03
    assert (image[..., -1] - ramp[0, 0, -1]).abs().max() < 0.03


@pytest.mark.parametrize("how", ("break", "error"))
def test_stopped_midway_it_is_a_playable_file_with_sound_up_to_there(tmp_path, how):
    source, target = make(tmp_path / "in.mp4", frames=40), tmp_path / "out.mp4"
    try:
        with VideoReader(source) as reader, VideoWriter(target, source=reader) as writer:
            for frame in reader:
                if frame.index == 20:
                    if how == "break":
                        break
                    raise KeyboardInterrupt
                writer.write(frame.image, frame.time)
                assert not target.exists()
    except KeyboardInterrupt:
        assert how == "error"
    with VideoReader(target) as video:
        assert len(list(video)) == 20 and video.duration == pytest.approx(0.8, abs=0.05)
    wave, rate = heard(target)
    assert len(wave) / rate == pytest.approx(0.8, abs=0.1)
    assert onset(target) == pytest.approx(FLASH, abs=0.05)


def test_sound_longer_than_the_picture_is_kept_to_its_end(tmp_path):
    source = make(tmp_path / "in.mp4", frames=20, tail=0.7)
    wave, rate = heard(copy(source, tmp_path / "out.mp4"))
    assert len(wave) / rate == pytest.approx(1.5, abs=0.1)


def test_without_sound_and_without_source(tmp_path):
    source = make(tmp_path / "in.mp4", sound=None, frames=5)
    with VideoReader(copy(source, tmp_path / "out.mp4")) as video:
        assert not video.has_audio and len(list(video)) == 5
        assert len(list(video)) == 5 and video.exhausted  # once more, from the beginning


def test_sound_that_mp4_cannot_hold_becomes_aac(tmp_path):
    source = make(tmp_path / "in.mkv", sound="pcm_s16le")
    target = copy(source, tmp_path / "out.mp4")
    with av.open(str(target)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    assert onset(target) == pytest.approx(FLASH, abs=0.05)


@pytest.mark.parametrize(("rotation", "corner"), [(90, (-1, 0)), (180, (-1, -1)), (-90, (0, -1))])
def test_turned_pictures_come_out_upright(tmp_path, rotation, corner):
    source = make(tmp_path / "in.mp4", rotation=rotation, frames=3, sound=None)
    with VideoReader(source) as video:
        image = next(iter(video)).image
        assert (video.height, video.width) == tuple(image.shape[2:]) == ((48, 64) if rotation == 180 else (64, 48))
    # the upper left corner is red; counted counterclockwise it moves to the lower left, lower right, upper right
    assert image[0, 0, corner[0], corner[1]] > 0.9 > 0.5 > image[0, 1, corner[0], corner[1]]
    with VideoReader(copy(source, tmp_path / "out.mp4")) as again:
        assert (again.height, again.width) == tuple(image.shape[2:]) and again.turns == 0


def test_irregular_frames_keep_their_times(tmp_path):
    times = [0.0, 0.04, 0.2, 0.24, 0.5, 0.9]
    source = make(tmp_path / "in.mkv", frames=6, times=times, sound=None)
    with VideoReader(copy(source, tmp_path / "out.mp4")) as video:
        assert [f.time for f in video] == pytest.approx(times, abs=2e-3)


def test_frames_are_not_gathered(tmp_path):
    """The writer has handed most packets on before the end, and the reader is at the frame that was asked for."""
    source = make(tmp_path / "in.mp4", frames=120, sound=None)
    written = []
    with VideoReader(source) as reader, VideoWriter(tmp_path / "out.mp4", source=reader) as writer:
        mux = writer._container.mux

        def count(packet):
            written.append(packet.size)
            mux(packet)

        writer._container = type("Counted", (), {"mux": staticmethod(count), "close": writer._container.close})()
        for frame in reader:
            writer.write(frame.image, frame.time)
            assert frame.index - len(written) < 60  # x264 looks ahead at most so far


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        VideoReader(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(ValueError, match="not a readable video"):
        VideoReader(tmp_path / "text.mp4")
    with pytest.raises(ValueError, match="rate"):
        VideoWriter(tmp_path / "a.mp4")
    with pytest.raises(ValueError, match="crf"):
        VideoWriter(tmp_path / "a.mp4", 10, crf=99)
    picture = torch.zeros(1, 3, 8, 8)
    with VideoWriter(tmp_path / "a.mp4", 10) as writer:
        writer.write(picture, 0.1)
        with pytest.raises(ValueError, match="forward"):
            writer.write(picture, 0.05)
        with pytest.raises(ValueError, match="one size"):
            writer.write(picture[..., 1:], 0.3)
        with pytest.raises(ValueError, match="expected"):
            writer.write(picture[:, :1], 0.3)
    with pytest.raises(ValueError, match="closed"):
        writer.write(picture)
    with VideoReader(tmp_path / "a.mp4") as reader, pytest.raises(ValueError, match="source itself"):
        VideoWriter(tmp_path / "a.mp4", source=reader)
    with VideoWriter(tmp_path / "empty.mp4", 10):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "text.mp4"]
