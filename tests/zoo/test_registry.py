"""Every record of the registry is complete and true, and the registry refuses what is not."""

from __future__ import annotations

import dataclasses
import json
import pickle
import subprocess
import sys

import pytest

import zoo
from zoo import registry
from zoo.checkpoints import file_sha256
from zoo.errors import UnknownModelError

NAMES = zoo.list_models()
ALLOWED = {field.name for field in dataclasses.fields(zoo.Entry)} | {"arch", "tag"}
MANDATORY = {"name", "summary", "tasks", "paper", "licence", "config", "input", "num_params", "supports_half"}
OF_WEIGHTS = {"data", "file", "metrics", "sha256", "size_bytes", "training"}


def test_the_zoo_is_not_empty():
    assert {"tv2d.anisotropic", "tv2d.isotropic"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_schema(name):
    record = json.loads((registry.ENTRIES / f"{name}.json").read_text(encoding="utf-8"))
    assert set(record) <= ALLOWED
    assert set(record) >= MANDATORY
    if record.get("source"):
        assert record["source"]["url"].startswith("https://") and len(record["source"]["sha256"]) == 64
        assert record["data"] and record["size_bytes"]
    elif record.get("file"):
        assert set(record) >= OF_WEIGHTS
        assert record["data"], "says what it was trained on"
        assert record["metrics"], "says how good it is"
        assert len(record["sha256"]) == 64
    entry = zoo.info(name)
    assert registry.NAME_PATTERN.fullmatch(name) and name == f"{entry.arch}.{entry.tag}"
    assert "\n" not in entry.summary and 20 <= len(entry.summary) <= 120 and not entry.summary.endswith(".")
    assert entry.tasks and entry.paper.title and entry.paper.section and entry.licence
    assert entry.arch in registry.list_archs()
    assert entry.input.control in (None, "lam", "sigma")
    assert entry.input.min_size >= 1 and entry.input.range[0] < entry.input.range[1]


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_recounted(name):
    entry = zoo.info(name)
    module = registry.build(entry.arch, entry.config)
    assert sum(parameter.numel() for parameter in module.parameters()) == entry.num_params
    if entry.file is None:
        # a model with parameters to train is not in the zoo without them
        assert entry.num_params == 0 and entry.size_bytes == 0 and entry.sha256 is None
        return
    path = registry.WEIGHTS / entry.file
    if entry.source is not None:
        assert entry.size_bytes == pytest.approx(2 * entry.num_params, rel=0.01), "float16"
    elif entry.hub is None or path.exists():
        assert path.stat().st_size == entry.size_bytes
        assert file_sha256(path) == entry.sha256


@pytest.mark.parametrize("name", NAMES)
def test_record_survives_json_and_pickle(name):
    entry = zoo.info(name)
    assert zoo.Entry.from_dict(json.loads(json.dumps(entry.to_dict()))) == entry
    assert pickle.loads(pickle.dumps(entry)) == entry


def test_listing():
    assert sorted(NAMES) == NAMES
    assert zoo.list_models("tv2d.*") == ["tv2d.anisotropic", "tv2d.isotropic"]
    assert zoo.list_models("nothing*") == []
    assert "tv2d.isotropic" in zoo.list_models(task="denoise")
    assert zoo.list_models(task="make coffee") == []


def test_bare_architecture_is_its_default():
    assert zoo.info("tv2d").name == "tv2d.anisotropic"


def test_unknown_name_suggests_close_ones():
    with pytest.raises(UnknownModelError, match=r"tv2d\.isotropc.*did you mean tv2d\.isotropic"):
        zoo.info("tv2d.isotropc")
    with pytest.raises(UnknownModelError, match="zoo list"):
        zoo.info("qqqq")
    with pytest.raises(UnknownModelError, match="architecture"):
        registry.build("qqqq", {})


@pytest.fixture
def record():
    return zoo.info("tv2d.isotropic").to_dict()


def test_duplicates_are_refused(record):
    with pytest.raises(ValueError, match="already registered"):
        registry.register(zoo.Entry.from_dict(record))
    with pytest.raises(ValueError, match="default already"):
        registry.register(zoo.Entry.from_dict({**record, "name": "tv2d.second", "default": True}))
    with pytest.raises(ValueError, match="already registered"):
        registry.register_arch("tv2d")(object)
    assert "tv2d.second" not in zoo.list_models()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, r"unknown keys \['colour'\]"),
        ({"name": "TV.x"}, "arch.tag"),
        ({"name": "tv"}, "arch.tag"),
        ({"name": "../tv.x"}, "arch.tag"),
        ({"paper": {"title": "x"}}, r"paper: missing keys \['section'\]"),
        ({"input": {"channels": 3, "depth": 8}}, r"input: unknown keys \['depth'\]"),
        ({"metrics": [{"dataset": "x", "metric": "psnr"}]}, r"metrics: missing keys \['value'\]"),
        ({"file": "x.safetensors"}, "come together"),
    ],
)
def test_bad_records_are_refused(record, change, message):
    with pytest.raises(ValueError, match=message):
        zoo.Entry.from_dict({**record, **change})


def test_missing_key_is_named(record):
    del record["licence"]
    with pytest.raises(ValueError, match=r"missing keys \['licence'\]"):
        zoo.Entry.from_dict(record)


def test_written_entry_is_read_back(record, tmp_path):
    metric = {"dataset": "kodak24", "metric": "psnr", "value": 30.5, "paper_value": None, "settings": "sigma 25"}
    entry = zoo.Entry.from_dict({**record, "name": "tv2d.mine", "metrics": [metric]})
    path = registry.write_entry(entry, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["tv2d.mine.json"]
    assert registry.read_entry(path) == entry
    path.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON"):
        registry.read_entry(path)


def test_listing_needs_no_torch():
    code = "import sys, zoo; zoo.list_models(); zoo.info('tv2d'); import zoo.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
