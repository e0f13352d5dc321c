"""Every trained model of the package still computes what it did when it was released."""

from __future__ import annotations

import json

import pytest

import zoo
from zoo import registry
from zoo.evaluation.golden import differences, golden

FOLDER = registry.ROOT / "golden"
BUNDLED = [
    name
    for name in zoo.list_models()
    if (file := zoo.info(name).file) is not None and (registry.WEIGHTS / file).is_file()
]


@pytest.mark.parametrize("name", BUNDLED)
def test_golden_output(name: str) -> None:
    expected = json.loads((FOLDER / f"{name}.json").read_text())
    assert differences(golden(zoo.load(name)), expected) == []
