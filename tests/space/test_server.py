"""The running app, as programs and pages speak to it."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from space.tabs import tv_denoise as tab
from zoo.tasks import denoise

ENDPOINT = "/tv_denoise"
# sigma, seed, auto, lam, model, max_iter, tol, after the session's picture, which the server fills in
MOVED = [None, 0, 0, True, 0.1, "tv2d.anisotropic", 1000, 1e-4]


@pytest.fixture(scope="module")
def client(server: str) -> Client:
    return Client(server, verbose=False)


def saved(folder: Path, image: Image.Image, name: str = "photo.png", **options: Any) -> Any:
    image.save(folder / name, **options)
    return handle_file(str(folder / name))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "I;16"])
def test_endpoint_is_the_task_bit_for_bit(client: Client, tmp_path: Path, noisy: Image.Image, mode: str) -> None:
    image = noisy.convert("L" if mode == "I;16" else mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    path, figures = client.predict(saved(tmp_path, image), lam=0.08, api_name=ENDPOINT)
    expected, info = denoise(image, lam=0.08, return_info=True)
    with Image.open(path) as result:
        assert result.mode == expected.mode
        assert np.array_equal(np.asarray(result), np.asarray(expected))
    assert Path(path).name == "photo-denoised.png"
    same = {key: value for key, value in info.to_dict().items() if key != "seconds"}
    assert {key: figures[key] for key in same} == same


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"sigma": 30},
        {"model": "tv2d.isotropic", "lam": 0.02},
        {"lam": 0.3, "max_iter": 3},
        {"sigma": 25, "tol": 1e-2},
        {"lam": 0, "max_iter": None, "tol": None},
    ],
)
def test_endpoint_passes_every_argument(
    client: Client, tmp_path: Path, noisy: Image.Image, arguments: dict[str, Any]
) -> None:
    path, figures = client.predict(saved(tmp_path, noisy), **arguments, api_name=ENDPOINT)
    given = {key: value for key, value in arguments.items() if value is not None}
    expected, info = denoise(noisy, return_info=True, **given)
    assert np.array_equal(np.asarray(Image.open(path)), np.asarray(expected))
    assert (figures["lam"], figures["sigma"], figures["iterations"]) == (info.lam, info.sigma, info.iterations)


def test_one_pixel(client: Client, tmp_path: Path) -> None:
    dot = Image.new("RGB", (1, 1), (9, 99, 199))
    path, figures = client.predict(saved(tmp_path, dot), lam=0.1, api_name=ENDPOINT)
    assert np.asarray(Image.open(path)).tolist() == [[[9, 99, 199]]]
    assert figures["gap"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lam": -1}, "lam: a finite number of at least 0"),
        ({"lam": 0.1, "sigma": 10}, "give one of them"),
        ({"sigma": -5}, "sigma: a noise level"),
        ({"model": "tv3d.anisotropic"}, "unknown model"),
        ({"tol": 2}, "tol: between 0 and 1"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_wrong_arguments_are_explained(
    client: Client, tmp_path: Path, noisy: Image.Image, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AppError, match=message) as error:
        client.predict(saved(tmp_path, noisy), **arguments, api_name=ENDPOINT)
    assert "Traceback" not in str(error.value)


def test_wrong_file_is_explained(client: Client, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("hello")
    with pytest.raises(AppError, match=r"notes\.png is not a picture that can be read") as error:
        client.predict(handle_file(str(tmp_path / "notes.png")), api_name=ENDPOINT)
    assert "Traceback" not in str(error.value) and "/" not in str(error.value)


def test_huge_picture_is_refused(client: Client, tmp_path: Path) -> None:
    with pytest.raises(AppError, match="megapixels"):
        client.predict(saved(tmp_path, Image.new("L", (8000, 4000))), api_name=ENDPOINT)


def test_a_bug_shows_no_details(
    client: Client, tmp_path: Path, noisy: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        {}["secret"]

    monkeypatch.setattr(importlib.import_module("zoo.tasks.denoise"), "denoise", broken)
    with pytest.raises(AppError) as error:
        client.predict(saved(tmp_path, noisy), api_name=ENDPOINT)
    assert "Something went wrong" in str(error.value) and "secret" not in str(error.value)


def test_only_uploaded_files_are_read(visitor: Callable[[], Any], tmp_path: Path, noisy: Image.Image) -> None:
    noisy.save(tmp_path / "private.png")
    record = {"path": str(tmp_path / "private.png"), "meta": {"_type": "gradio.FileData"}}
    answer = visitor().call("tv_denoise", [record, "tv2d.anisotropic", 0.1, None, None, None])
    assert not answer["success"]
    assert visitor().web.get(f"/gradio_api/file={tmp_path / 'private.png'}").status_code == 403


def test_page_events_are_not_for_programs(client: Client) -> None:
    with pytest.raises(ValueError):
        client.predict(None, api_name="/solve")


def test_two_visitors_do_not_see_each_others_pictures(
    visitor: Callable[[], Any], encoded: Callable[..., bytes], cartoon: np.ndarray
) -> None:
    first, second, third = visitor(), visitor(), visitor()
    pictures = {first: Image.fromarray(cartoon), second: Image.fromarray(255 - cartoon)}
    for one, image in pictures.items():
        answer = one.call("open_upload", [one.upload("mine.png", encoded(image)), None])
        assert answer["success"], answer
        assert answer["output"]["data"] == [None, 0], "the picture itself stays on the server"
    paths = set()
    for one, image in pictures.items():
        answer = one.call("solve", MOVED, nth=0)
        assert answer["success"], answer
        before, after = answer["output"]["data"][0]
        assert np.array_equal(np.asarray(one.picture(before)), np.asarray(image))
        assert np.array_equal(np.asarray(one.picture(after)), np.asarray(denoise(image)))
        paths |= {before["path"], after["path"]}
    assert len(paths) == 4 and len({Path(path).parents[1] for path in paths}) == 2
    answer = third.call("solve", MOVED)
    assert not answer["success"] and "no picture was given" in answer["output"]["error"]


def test_stop_stops_the_solver(
    visitor: Callable[[], Any], encoded: Callable[..., bytes], noisy: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[float] = []
    closed = threading.Event()
    info = denoise(noisy, return_info=True)[1]

    def endless(image: Any, *_: Any, **__: Any) -> Iterator[Any]:
        try:
            while len(taken) < 400:
                taken.append(time.monotonic())
                time.sleep(0.02)
                yield SimpleNamespace(image=image, info=info, progress=0.5, done=False)
        finally:
            closed.set()

    monkeypatch.setattr(importlib.import_module("zoo.tasks.denoise"), "denoise_steps", endless)
    monkeypatch.setattr(tab, "LIVE_SIDE", 64)
    one = visitor()
    assert one.call("open_upload", [one.upload("mine.png", encoded(noisy)), None])["success"]
    index, event = one.join("solve", MOVED)
    for message in one.messages():
        if message["msg"] == "process_generating" and len(taken) > 3:
            break
    body = {"session_hash": one.session, "fn_index": index, "event_id": event}
    assert one.web.post("/gradio_api/cancel", json=body).json()["success"]
    assert closed.wait(20), "the solver is closed, not only unwatched"
    count = len(taken)
    time.sleep(0.3)
    assert len(taken) == count < 400


def test_result_is_gone_once_the_picture_is_taken_back(
    visitor: Callable[[], Any], encoded: Callable[..., bytes], noisy: Image.Image
) -> None:
    one = visitor()
    assert one.call("open_upload", [one.upload("mine.png", encoded(noisy)), None])["success"]
    after = one.call("solve", MOVED)["output"]["data"][0][1]
    one.picture(after)
    assert one.call("clear", [None])["success"]
    assert one.web.get(f"/gradio_api/file={after['path']}").status_code in (403, 404)


def test_upload_has_a_limit(visitor: Callable[[], Any]) -> None:
    from space.shell import MAX_FILE_SIZE

    assert MAX_FILE_SIZE == "40mb"
    answer = visitor().web.post("/gradio_api/upload", files={"files": ("big.png", bytes(41 * 1024 * 1024))})
    assert answer.status_code == 413
