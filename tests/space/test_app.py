"""What `python app.py` sets up around the app."""

from __future__ import annotations

import importlib.util
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from space import shell


@pytest.fixture
def app() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("app", Path(__file__).parents[2] / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler = signal.getsignal(signal.SIGTERM)
    yield module
    signal.signal(signal.SIGTERM, handler)


def run(app: ModuleType, monkeypatch: pytest.MonkeyPatch, fail: bool = False) -> dict[str, str]:
    """Calls `main` with a shell that only looks around; returns the environment it saw."""
    seen: dict[str, str] = {}

    def launch(_: object) -> None:
        seen.update(os.environ)
        seen["mode"] = oct(stat.S_IMODE(os.stat(os.environ["GRADIO_TEMP_DIR"]).st_mode))
        if fail:
            raise OSError("the port is taken")

    monkeypatch.setattr(shell, "build", object)
    monkeypatch.setattr(shell, "launch", launch)
    app.main()
    return seen


def test_nothing_is_sent_anywhere(app: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*app.SETTINGS, "GRADIO_TEMP_DIR"):
        # set first, so that what main sets is undone after the test
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    seen = run(app, monkeypatch)
    assert seen["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert seen["HF_HUB_OFFLINE"] == seen["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert seen["mode"] == "0o700", "other users of the machine cannot read uploads"
    assert not Path(seen["GRADIO_TEMP_DIR"]).exists(), "nothing is left when the server has stopped"


def test_environment_wins(app: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    seen = run(app, monkeypatch)
    assert seen["HF_HUB_OFFLINE"] == "0"
    assert tmp_path.exists(), "a folder that was given is not ours to delete"


def test_folder_goes_when_the_start_fails(app: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GRADIO_TEMP_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OSError, match="port"):
        run(app, monkeypatch, fail=True)
    assert list(tmp_path.iterdir()) == []


def test_building_loads_no_torch() -> None:
    """It takes seconds to import; the page answers first, and loads it in the background."""
    code = "import sys; from space.shell import build; build(); print('torch' in sys.modules, 'skimage' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"], done.stdout
