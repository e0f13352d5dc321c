"""The "Zoo" tab: all models in a table that can be searched; of the chosen one its picture, its file and its card."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.components import Component
from gradio.context import Context
from gradio.utils import get_upload_folder

import zoo
from zoo import catalogue

from ..common import guarded
from ..figures import status_html
from ..tab import Tab

if TYPE_CHECKING:
    from zoo import Entry

HEADERS = ["Model", "For", "Weights", "Trained on", "Licence", "Measured, and in the paper", "What it is"]
WIDTHS: list[str | int] = ["150px", "110px", "95px", "180px", "105px", "230px", "260px"]
EVERY = "every task"
FIRST = "tv2d.anisotropic"


def rows(text: str, task: str) -> list[list[str]]:
    """The table: one row a model that fits the words and the task."""
    found = catalogue.find(text, None if task == EVERY else task, pulled=True)
    return [
        [
            entry.name,
            ", ".join(entry.tasks),
            catalogue.size(entry),
            ", ".join(entry.data) or "–",
            entry.licence,
            catalogue.figures(entry) or "–",
            entry.summary,
        ]
        for entry in found
    ]


def search(text: str, task: str, chosen: str) -> tuple[list[list[str]], Any, str]:
    """The table for new words; the chosen model stays if it still fits, else the first one is taken."""
    table = rows(text, task)
    names = [row[0] for row in table]
    count = f"{len(names)} model{'' if len(names) == 1 else 's'}" if names else "No model fits; try fewer words."
    value = chosen if chosen in names or not names else names[0]
    return table, gr.update(choices=names or [chosen], value=value), status_html(count)


def pick(event: gr.SelectData) -> str:
    """The model of the row that was clicked."""
    return str(event.row_value[0])


def show_model(name: str) -> tuple[Any, Any, str]:
    """The picture and the file of a model, where there are some, and what is to be said of them."""
    entry = zoo.info(name)
    picture, why = _picture(entry)
    path, remark = _weights(entry)
    label = f"Download {path.name} ({catalogue.size(entry)})" if path is not None else "Nothing to download"
    button = gr.update(value=None if path is None else str(path), label=label, interactive=path is not None)
    return (
        gr.update(value=picture, visible=picture is not None),
        button,
        status_html(" ".join(filter(None, (why, remark)))),
    )


def _folder(entry: Entry) -> Path:
    """Where the files of this very version of a model are, among those that the page may serve."""
    folder = Path(get_upload_folder()) / "zoo" / f"{entry.name.replace('/', '--')}-{(entry.sha256 or 'solver')[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to write in place of `path`, of this request alone: what is at `path` is whole, whoever comes first."""
    with tempfile.TemporaryDirectory(dir=path.parent) as own:
        part = Path(own) / path.name
        yield part
        part.replace(path)


def _picture(entry: Entry) -> tuple[str | None, str]:
    """The path of a picture that the model made, drawn once an hour; and why there is none."""
    from zoo.showcase import showcase

    path = _folder(entry) / "picture.png"
    if not path.exists():
        try:
            drawn = showcase(entry)
        except FileNotFoundError:
            return None, f"Its weights are not on this server; with a network, zoo pull {entry.name} fetches them."
        if drawn is None:
            return None, ""
        with _whole(path) as part:
            drawn.save(part)
    return str(path), ""


def _weights(entry: Entry) -> tuple[Path | None, str]:
    """A copy of the weights among the files that the page may serve; and what to know of it."""
    from zoo.hub.resolve import find_weights

    if entry.file is None:
        return None, "It is a solver without weights: it comes with the package."
    if entry.source is not None:
        return None, f"Its weights are published at {entry.source.url} and are not passed on here."
    try:
        found = find_weights(entry, local_files_only=True)
    except FileNotFoundError:
        return None, ""
    path = _folder(entry) / f"{entry.name.replace('/', '--')}.safetensors"
    if not path.exists():
        with _whole(path) as part:
            shutil.copyfile(found, part)
    return path, f"sha256 {entry.sha256}"


def build() -> Component:
    """Lays out the tab; returns the choice of the model."""
    names = [row[0] for row in rows("", EVERY)]
    with gr.Row(equal_height=True):
        words = gr.Textbox(
            label="Search", placeholder="name, task, paper, data, licence", scale=3, min_width=200, elem_id="zoo-search"
        )
        task = gr.Dropdown(
            [EVERY, *catalogue.tasks()], value=EVERY, label="For", scale=1, min_width=140, elem_id="zoo-task"
        )
    table = gr.Dataframe(
        rows("", EVERY),
        headers=HEADERS,
        column_widths=WIDTHS,
        column_count=len(HEADERS),
        type="array",
        interactive=False,
        wrap=True,
        max_height=420,
        show_label=False,
        buttons=[],
        elem_id="zoo-table",
    )
    count = gr.HTML(status_html(f"{len(names)} models"), padding=False, elem_id="zoo-count")
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=280, elem_classes="controls"):
            model = gr.Dropdown(names, value=FIRST, label="Model", info="Or click a row above.", elem_id="zoo-model")
            download = gr.DownloadButton("Nothing to download", size="md", interactive=False, elem_id="zoo-download")
            status = gr.HTML("", padding=False, elem_id="zoo-status")
        with gr.Column(scale=7, min_width=320):
            picture = gr.Image(
                label="What goes in, and what the model makes of it",
                show_label=False,
                type="filepath",
                format="png",
                interactive=False,
                visible=False,
                buttons=["fullscreen"],
                elem_id="zoo-picture",
            )
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    for event in (words.change, task.change):
        event(guarded(search), [words, task, model], [table, model, count], trigger_mode="always_last", **hidden)
    table.select(guarded(pick), None, model, **hidden)
    outputs = [picture, download, status]
    model.change(guarded(show_model), model, outputs, trigger_mode="always_last", **hidden)
    assert Context.root_block is not None
    Context.root_block.load(guarded(show_model), model, outputs, **hidden)
    return model


TAB = Tab(
    title="Zoo",
    slug="zoo",
    description="All models: what each is for, what it was trained on, its licence, and figures beside the paper's.",
    models=(FIRST, *(name for name in zoo.list_models() if name != FIRST)),
    build=build,
    python='import zoo\n\nmodel = zoo.load("{model}")\nzoo.info("{model}").card',
    cli="zoo info {model}\nzoo pull {model}\nzoo verify {model}",
    card_open=True,
)
