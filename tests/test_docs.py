"""README, CONTRIBUTING, docs and model cards: examples run, commands are understood, links and figures are right."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import gradio
import pytest
import typer
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from PIL import Image
from typer.testing import CliRunner

import zoo
from cuda_src import build
from zoo.cli import app
from zoo.noise import add_noise

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TV = ROOT / "docs" / "tv.md"
MATTING = ROOT / "docs" / "matting.md"
SUPERRES = ROOT / "docs" / "superres.md"
PHOTO_VIDEO = ROOT / "docs" / "photo_video.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CARDS = sorted((ROOT / "zoo" / "cards").glob("tv2d.*.md"))
PAGES = [README, CONTRIBUTING, *sorted((ROOT / "docs").glob("*.md")), *CARDS]


def blocks(path: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in one of the languages."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for language, text in fences if language in languages]


def commands(path: Path) -> list[list[str]]:
    """The arguments of every `zoo ...` line in the shell blocks of a page."""
    lines = "\n".join(blocks(path, "bash", "shell", "sh")).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("zoo ")]


def prose(path: Path) -> str:
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def identify(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", [README, TV, MATTING, PHOTO_VIDEO, SUPERRES, *CARDS], ids=identify)
def test_python_examples_run(path: Path) -> None:
    pytest.importorskip("skimage")
    found = blocks(path, "python")
    assert found
    namespace: dict[str, object] = {"__name__": "example"}
    for number, text in enumerate(found):
        exec(compile(text, f"{path.name}, block {number}", "exec"), namespace)


# what takes long, or is on a page about data of one's own, is only parsed
ONLY_PARSED = {"train"}
RUN = [README, CONTRIBUTING, *CARDS]


@pytest.mark.parametrize("path", PAGES, ids=identify)
def test_commands_run(path: Path, cartoon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clean = Image.fromarray(cartoon)
    clean.save("clean.png")
    add_noise(clean, 25).save("noisy.png")
    (tmp_path / "photos").mkdir()
    clean.save("photos/one.png")
    for arguments in commands(path):
        if path not in RUN or (arguments[0] in ONLY_PARSED and arguments[1] != "list"):
            parse(arguments)
            continue
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"zoo {shlex.join(arguments)}: {result.output}"


def parse(arguments: list[str]) -> None:
    """Parse a command without running it; a recipe of the package must exist."""
    verb = typer.main.get_command(app).commands[arguments[0]]  # type: ignore[attr-defined]
    context = verb.make_context(arguments[0], arguments[1:])
    if arguments[0] == "train" and arguments[1] != "list":
        from zoo.training import list_recipes

        assert context.params["recipe"] in list_recipes()


def test_the_pages_have_commands() -> None:
    verbs = {arguments[0] for path in (README, *CARDS) for arguments in commands(path)}
    assert {"list", "info", "denoise", "doctor"} <= verbs


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in PAGES:
        lines = "\n".join(blocks(path, "bash")).splitlines()
        named = {line.split()[1] for line in lines if line.startswith("make ")}
        named |= set(re.findall(r"`make ([a-z]+)`", prose(path)))
        assert named <= targets


@pytest.mark.parametrize("path", PAGES, ids=identify)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose(path)):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_files_that_are_named_exist() -> None:
    """Paths in backticks: `<...>` stands for a name of your own, and the examples are called soft, median, sharpen."""
    named = re.findall(
        r"`((?:cuda_src|zoo|space|tests|docs|benchmarks)/[\w./-]*)`", prose(CONTRIBUTING) + prose(README)
    )
    assert len(named) > 20
    for name in named:
        if not re.search(r"soft|median|sharpen", name) and name != "cuda_src/lib":
            assert (ROOT / name).exists(), name


def load_table_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_table", ROOT / "docs" / "model_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_table_of_models_is_the_registry() -> None:
    script = load_table_script()
    found = script.TABLE.search(README.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group() == script.model_table(), "run: python docs/model_table.py"
    assert found.group().count("\n") == 2 + len(zoo.list_models())


def test_front_matter() -> None:
    empty, front, _ = README.read_text(encoding="utf-8").split("---\n", 2)
    assert empty == ""
    keys = yaml.safe_load(front)
    assert keys["sdk"] == "gradio" and keys["license"] == "apache-2.0" and keys["title"] == "Neural Solver Zoo"
    assert (ROOT / keys["app_file"]).is_file()
    colours = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {keys["colorFrom"], keys["colorTo"]} <= colours
    assert isinstance(keys["sdk_version"], str) and isinstance(keys["python_version"], str)
    assert len(keys["short_description"]) <= 60
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    asked = re.search(r'"gradio([^"]+)"', project)
    python = re.search(r'requires-python = "([^"]+)"', project)
    assert asked is not None and python is not None
    assert keys["sdk_version"] in SpecifierSet(asked[1]) and gradio.__version__ in SpecifierSet(asked[1])
    assert keys["python_version"] in SpecifierSet(python[1])


@pytest.mark.parametrize("path", CARDS, ids=identify)
def test_figures_of_the_cards(path: Path) -> None:
    """One of the table is measured again."""
    data = pytest.importorskip("skimage.data")
    from zoo.tasks import denoise

    text = path.read_text(encoding="utf-8")
    row = re.search(r"^\| coins \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    assert row is not None and re.findall(r"σ = (\d+)", text) == ["15", "25", "50"]
    clean = data.coins()
    noisy = add_noise(clean, 25, seed=0)
    _, info = denoise(noisy, path.stem, sigma=25, reference=clean, return_info=True)
    assert info.psnr == pytest.approx(float(row[2]), abs=0.02)


@pytest.mark.parametrize("path", PAGES, ids=identify)
def test_examples_are_in_line_with_the_code(path: Path) -> None:
    """Python blocks are at least syntax that this Python accepts; lines are no longer than in the code."""
    for text in blocks(path, "python"):
        compile(text, path.name, "exec")
        assert all(len(line) <= 120 for line in text.splitlines()), path.name


def test_requirements_of_a_space_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["app"]]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = {Requirement(line).name: Requirement(line).specifier for line in lines if not line.startswith("#")}
    for requirement in map(Requirement, wanted):
        if requirement.name != "gradio":  # the front matter's sdk_version brings it
            assert requirement.specifier & listed[requirement.name] == listed[requirement.name], requirement.name
    assert set(listed) == {Requirement(line).name for line in wanted} - {"gradio"}


@pytest.mark.skipif(not any(shutil.which(c) for c in ("g++", "clang++", "c++")), reason="no C++ compiler is installed")
def test_the_example_of_a_kernel_compiles(tmp_path, monkeypatch) -> None:
    for header in build.SOURCES.glob("*.h"):
        shutil.copy(header, tmp_path)
    sources = re.findall(
        r"<!-- cuda_src/csrc/(\S+) -->\n```cpp\n(.*?)^```$", CONTRIBUTING.read_text(), re.DOTALL | re.M
    )
    assert {name for name, _ in sources} == {"soft.h", "cpu_soft.cpp", "cuda_soft.cu"}
    for name, text in sources:
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    for extra in ((), ("-DNSZ_ONE_LANE",)):
        done = subprocess.run(build.cpu_command(tmp_path / "soft.so", extra=extra), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
