"""What every tab needs: errors that a visitor can read, and files that only this visitor gets."""

from __future__ import annotations

import functools
import inspect
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import gradio as gr
from gradio.utils import get_upload_folder

log = logging.getLogger("space")

Handler = TypeVar("Handler", bound=Callable[..., Any])

OURS = ("zoo", "space", "cuda_src")
GENERIC = "Something went wrong on the server. The details are in its log."
OUT_OF_MEMORY = "There is not enough memory for this picture on the server. A smaller one will work."
# a page in use asks for its latest results only; older ones are removed as new ones come
RESULTS_KEPT = 6
FILE_LIFETIME = 3600
"""Seconds after which an uploaded file or a result is deleted."""


def raised_by_us(error: BaseException) -> bool:
    """Whether an error was raised, not merely passed on, by the project's own packages."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return module.split(".")[0] in OURS


def fail(error: Exception) -> NoReturn:
    """Raises the `gr.Error` that a visitor sees for an exception.

    The project's own ValueError, TypeError and FileNotFoundError are written for users and shown as they are; anything
    else is logged with its traceback and shown as one plain sentence.
    """
    if isinstance(error, gr.Error):
        raise error
    if isinstance(error, (ValueError, TypeError, FileNotFoundError)) and raised_by_us(error):
        raise gr.Error(str(error), print_exception=False) from None
    log.error("a handler failed", exc_info=error)
    memory = isinstance(error, MemoryError) or "alloc" in str(error) or "out of memory" in str(error)
    raise gr.Error(OUT_OF_MEMORY if memory else GENERIC, print_exception=False) from None


def guarded(handler: Handler) -> Handler:
    """Decorates an event handler, plain or generator, so that its exceptions go through `fail`."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def generator(*args: Any, **kwargs: Any) -> Iterator[Any]:
            try:
                yield from handler(*args, **kwargs)
            except Exception as error:
                fail(error)

        return cast(Handler, generator)

    @functools.wraps(handler)
    def function(*args: Any, **kwargs: Any) -> Any:
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            fail(error)

    return cast(Handler, function)


def new_folder() -> Path:
    """A folder of one visitor, under a name that cannot be guessed, among the files that Gradio may serve."""
    folder = Path(get_upload_folder()) / secrets.token_hex(20)
    folder.mkdir(parents=True)
    return folder


def result_path(folder: Path, name: str) -> Path:
    """A fresh path for a result called `name`, so that no browser shows an older one from its cache.

    Removes all but the latest results of that name.
    """
    older = sorted(folder.glob(f"r*/{name}"), key=lambda path: path.parent.name)
    for path in older[: max(0, len(older) - RESULTS_KEPT + 1)]:
        shutil.rmtree(path.parent, ignore_errors=True)
    fresh = folder / f"r{time.time_ns():020d}"
    fresh.mkdir(parents=True)
    return fresh / name


def delete_folder(folder: Path) -> None:
    """Deletes a folder of `new_folder` with the results in it."""
    shutil.rmtree(folder, ignore_errors=True)
