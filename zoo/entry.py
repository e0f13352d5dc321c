"""The record of a model, and its form as JSON."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

CARD_FOLDERS = [Path(__file__).parent / "cards"]
"""Where cards are; plug-ins add theirs."""
NAME_PATTERN = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")


@dataclass(frozen=True)
class Paper:
    """Where a model comes from."""

    title: str
    section: str
    equation: str = ""
    """The numbers of the equations that the model is, as the paper has them; empty where there is none."""


@dataclass(frozen=True)
class Metric:
    """One measured figure, beside the paper's own where it gives one."""

    dataset: str
    metric: str
    value: float
    paper_value: float | None = None
    settings: str = ""
    """Whatever the figure depends on: the noise level, the crop, the seed."""


@dataclass(frozen=True)
class InputSpec:
    """What a model takes."""

    channels: int | None
    """Number of channels; None: any number, each channel by itself."""
    min_size: int = 1
    """Smallest height and width, in pixels."""
    multiple_of: int = 1
    range: tuple[float, float] = (0.0, 1.0)
    control: str | None = None
    """The model's second argument: "lam" (strength of the regularisation), "sigma" (noise, 0..255), None: none."""
    noise: tuple[float, float] | None = None
    """Least and largest level of the noise that a denoising network was trained with, 0..255 scale; None: not trained
    for any."""


@dataclass(frozen=True)
class Training:
    """How the weights were made."""

    hours: float
    """Of the last run and, where it went on from a released model, of those before it."""
    hardware: str
    seed: int
    init: str | None = None
    """The released model whose weights the last run started from; None: from fresh ones."""
    again: str = ""
    """The command that makes them anew; empty where it is not known."""


@dataclass(frozen=True)
class Source:
    """A file that others publish and the weights are made from, fetched by `zoo pull` only; see `zoo.foreign`."""

    url: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Entry:
    """The record of one model: everything that is known about it without building it."""

    pattern: ClassVar[re.Pattern[str]] = NAME_PATTERN

    @property
    def begun(self) -> str:
        """What the last training run went on from, as a sentence with a space before it; empty where it was fresh."""
        if self.training is None or not self.training.init:
            return ""
        origin = "its own earlier weights" if self.training.init == self.name else self.training.init
        return f" The last run went on from {origin}; the hours are those of both, the hardware is that of the last."

    name: str
    """`arch.tag`."""
    summary: str
    tasks: tuple[str, ...]
    """The jobs of `zoo.tasks` that can use it, e.g. "denoise"."""
    paper: Paper
    licence: str
    """SPDX name of the licence of the weights, or of the code for a model without weights."""
    config: Mapping[str, Any]
    """Arguments of the architecture's builder."""
    input: InputSpec
    num_params: int
    supports_half: bool
    data: tuple[str, ...] = ()
    """What it was trained on; empty for a model without weights."""
    metrics: tuple[Metric, ...] = ()
    file: str | None = None
    """File name of the weights in `zoo/weights`; in a Hub repository they are `model.safetensors`. None: no weights."""
    size_bytes: int = 0
    sha256: str | None = None
    hub: str | None = None
    """Hub repository that holds the weights, `org/name` or `org/name@revision`."""
    source: Source | None = None
    """Where the weights come from if neither the package nor the Hub has them; `file` is then the converted file's name
    in the cache, and as the conversion may round differently from machine to machine, it has no fixed sha256."""
    training: Training | None = None
    default: bool = False
    """Whether the bare name of the architecture means this entry."""

    def __post_init__(self) -> None:
        if not self.pattern.fullmatch(self.name):
            raise ValueError(f"entry name {self.name!r}: must be arch.tag in lower case, digits and underscores")
        if self.source is not None:
            if self.file is None or self.sha256 is not None or self.hub is not None:
                raise ValueError(f"entry {self.name}: with a source there is a file, and neither sha256 nor hub")
        elif (self.file is None) != (self.sha256 is None):
            raise ValueError(f"entry {self.name}: file and sha256 come together")

    @property
    def arch(self) -> str:
        """The architecture: the name up to the dot."""
        return self.name.split(".")[0]

    @property
    def tag(self) -> str:
        """The variant: the name after the dot."""
        return self.name.split(".")[1]

    @property
    def stored_name(self) -> str:
        """The name inside the file of weights."""
        return self.name

    @property
    def card(self) -> str:
        """The model card, markdown, from `cards/<name>.md` of the zoo or of a plug-in; empty if there is none."""
        paths = (folder / f"{self.name}.md" for folder in CARD_FOLDERS)
        return next((path.read_text(encoding="utf-8") for path in paths if path.exists()), "")

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-able data, with `arch` and `tag` spelled out."""
        record = json.loads(json.dumps(dataclasses.asdict(self)))  # tuples become lists
        return {"name": record.pop("name"), "arch": self.arch, "tag": self.tag, **record}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Entry:
        """The inverse of `to_dict`.

        Raises:
            ValueError: unknown or missing keys, or a name that is not `arch.tag`.
        """
        values = {key: value for key, value in record.items() if key not in ("arch", "tag")}
        where = f"entry {values.get('name', '?')}"
        for key, kind in {"paper": Paper, "input": InputSpec, "training": Training, "source": Source}.items():
            if values.get(key) is not None:
                values[key] = _strict(kind, values[key], f"{where}, {key}")
        values["metrics"] = tuple(_strict(Metric, metric, f"{where}, metrics") for metric in values.get("metrics", ()))
        return _strict(cls, values, where)


def _strict(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    """Build a dataclass from JSON data: unknown or missing keys are errors, lists become tuples."""
    allowed = {item.name: item for item in dataclasses.fields(kind)}
    absent = (dataclasses.MISSING, dataclasses.MISSING)
    mandatory = {key for key, item in allowed.items() if (item.default, item.default_factory) == absent}
    if unknown := sorted(set(values) - set(allowed)):
        raise ValueError(f"{where}: unknown keys {unknown}; allowed are {sorted(allowed)}")
    if missing := sorted(mandatory - set(values)):
        raise ValueError(f"{where}: missing keys {missing}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})
