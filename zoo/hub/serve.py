"""Serve a tree of `zoo mirror` with the headers that huggingface_hub wants: Python's file server and two lines."""

from __future__ import annotations

import functools
import json
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .mirror import INDEX


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, index: dict[str, dict[str, Any]], quiet: bool, **options: Any) -> None:
        self.index, self.quiet = index, quiet
        super().__init__(*args, **options)

    def end_headers(self) -> None:
        path = unquote(urlsplit(self.path).path)
        record = self.index.get(path)
        if record is not None:
            self.send_header("X-Repo-Commit", record["commit"])
            self.send_header("ETag", f'"{record["etag"]}"')
        super().end_headers()

    def guess_type(self, path: Any) -> str:
        return "application/json" if "/api/models/" in str(path) else super().guess_type(path)

    def list_directory(self, path: Any) -> None:
        self.send_error(404, "no such file")

    def log_message(self, format: str, *args: Any) -> None:
        if not self.quiet:
            super().log_message(format, *args)


def make_server(folder: Path, host: str = "127.0.0.1", port: int = 8080, *, quiet: bool = False) -> ThreadingHTTPServer:
    """A server of the tree, bound and not yet running (`serve_forever`).

    Args:
        folder: What `mirror` wrote.
        host: Address to listen at.
        port: Port; 0: a free one.
        quiet: Do not log requests on stderr.

    Raises:
        ValueError: no mirror there.
        OSError: the port is taken.
    """
    if not (folder / INDEX).is_file():
        raise ValueError(f"{folder}: no mirror, it lacks {INDEX}; zoo mirror {folder} writes one")
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    handler = functools.partial(_Handler, directory=str(folder), index=index, quiet=quiet)
    return ThreadingHTTPServer((host, port), handler)
