"""What docs/style.md and the card of the optimisation show runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = (ROOT / "docs" / "style.md", ROOT / "zoo" / "cards" / "gatys.vgg19_half.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_python_examples_run(path: Path) -> None:
    pytest.importorskip("skimage")
    found = re.findall(r"^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    namespace: dict[str, object] = {"__name__": "example"}
    for number, text in enumerate(found):
        exec(compile(text, f"{path.name}, block {number}", "exec"), namespace)
