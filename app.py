"""Starts the web app: `python app.py`, also the entry of a Hugging Face Space.

Answers at http://127.0.0.1:7860; GRADIO_SERVER_NAME and GRADIO_SERVER_PORT change that.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile

# read when gradio and huggingface_hub are imported, so they are set first; whoever starts the app can override them
SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_SSR_MODE": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "DISABLE_TELEMETRY": "1",
}


def main() -> None:
    """Serves the app until it is stopped."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # uploads and results lie in a folder that only this user can read, and go when the server stops
    own = None if "GRADIO_TEMP_DIR" in os.environ else tempfile.mkdtemp(prefix="neural-solver-zoo-")
    os.environ.setdefault("GRADIO_TEMP_DIR", own or "")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        from space.shell import build, launch

        launch(build())
    finally:
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


if __name__ == "__main__":
    main()
