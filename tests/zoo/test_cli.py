"""The command line: data on stdout, one clear line on stderr, exit code 2 for what the user can mend."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import zoo
from zoo.cli import app
from zoo.noise import add_noise
from zoo.tasks.denoise import denoise


def run(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def fails(*arguments):
    result = run(*arguments, code=2)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture
def clean(cartoon, tmp_path):
    path = tmp_path / "clean.png"
    Image.fromarray(cartoon).save(path)
    return path


@pytest.fixture
def picture(noisy, tmp_path):
    path = tmp_path / "noisy.png"
    noisy.save(path)
    return path


def pixels(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.array(image)


def test_the_installed_command_works():
    code = "from zoo.cli import app; app(prog_name='zoo')"
    result = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    for verb in ("list", "info", "doctor", "denoise"):
        assert verb in result.stdout
    assert result.stderr == ""


def test_help_needs_no_torch():
    code = (
        "import sys\nfrom zoo.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_version():
    assert run("--version").stdout.strip() == zoo.__version__


def test_list():
    text = run("list").stdout
    assert [line.split()[0] for line in text.splitlines()] == zoo.list_models()
    records = json.loads(run("list", "tv2d.i*", "--task", "denoise", "--json").stdout)
    assert records == [zoo.info("tv2d.isotropic").to_dict()]
    nothing = run("list", "nothing*")
    assert nothing.stdout == "" and "no model" in nothing.stderr


def test_info():
    text = run("info", "tv2d").stdout
    assert "tv2d.anisotropic" in text and "CVPR 2022" in text and "Apache-2.0" in text
    assert json.loads(run("info", "tv2d", "--json").stdout) == zoo.info("tv2d").to_dict()
    assert fails("info", "tv2d.isotropc") == "zoo: " + (
        "unknown model 'tv2d.isotropc': did you mean tv2d.isotropic or tv2d.anisotropic?; `zoo list` shows all\n"
    )


def test_doctor():
    report = json.loads(run("doctor", "--json").stdout)
    assert report["packages"]["torch"] and report["healthy"] is True
    assert report["kernels"]["backend"] in ("compiled", "reference") and report["kernels"]["reason"]
    text = run("doctor").stdout
    assert report["packages"]["torch"] in text and report["kernels"]["reason"] in text


def test_doctor_names_what_is_missing(monkeypatch):
    from zoo.cli import doctor

    installed = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "gradio" else installed(name))
    text = run("doctor").stdout
    assert 'pip install "neural-solver-zoo[app]"' in text


def test_doctor_finds_damaged_weights(monkeypatch, tmp_path):
    from zoo import registry

    record = zoo.info("tv2d").to_dict() | {
        "name": "tv2d.x",
        "default": False,
        "file": "x.safetensors",
        "sha256": "0" * 64,
    }
    entries = {**registry._entries(), "tv2d.x": zoo.Entry.from_dict(record)}
    monkeypatch.setattr(registry, "_entries", lambda: entries)
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    states = {item["name"]: item["state"] for item in json.loads(run("doctor", "--json", code=1).stdout)["weights"]}
    assert states["tv2d.x"] == "missing"
    (tmp_path / "x.safetensors").write_bytes(b"half")
    assert "tv2d.x: damaged" in run("doctor", code=1).stdout


def test_denoise_is_the_task(picture, noisy, tmp_path):
    out = tmp_path / "new" / "out.png"
    result = run("denoise", picture, "-o", out, "--model", "tv2d.isotropic", "--sigma", 25)
    assert np.array_equal(pixels(out), np.array(denoise(noisy, "tv2d.isotropic", sigma=25)))
    assert str(out) in result.stdout and "sigma 25.0" in result.stdout and result.stderr == ""


def test_default_output_is_beside_the_input(picture):
    before = picture.read_bytes()
    run("denoise", picture, "--lam", 0.1)
    assert pixels(picture.with_name("noisy_denoised.png")).shape == pixels(picture).shape
    assert picture.read_bytes() == before


def test_added_noise_is_measured_and_repeatable(clean, cartoon, tmp_path):
    arguments = ("denoise", clean, "--add-noise", 25, "--seed", 3, "--lam", 0.08, "--json")
    first = json.loads(run(*arguments, "-o", tmp_path / "1.png").stdout)[0]
    second = json.loads(run(*arguments, "-o", tmp_path / "2.png").stdout)[0]
    assert first["psnr"] > first["psnr_noisy"] + 5 and 0 < first["ssim"] < 1
    assert first["psnr"] == second["psnr"]
    assert np.array_equal(pixels(tmp_path / "1.png"), denoise(add_noise(cartoon, 25, seed=3), lam=0.08))
    other = json.loads(run("denoise", clean, "--add-noise", 25, "--seed", 4, "--lam", 0.08, "--json").stdout)[0]
    assert other["psnr"] != first["psnr"]


def test_reference(picture, clean):
    record = json.loads(run("denoise", picture, "--reference", clean, "--json").stdout)[0]
    assert record["input"] == str(picture) and record["psnr"] > record["psnr_noisy"] and record["sigma_estimated"]


def test_folder_in_folder_out(picture, clean, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in (picture, clean):
        path.rename(folder / path.name)
    (folder / "notes.txt").write_text("not a picture")
    records = json.loads(run("denoise", folder, "--lam", 0.05, "--json").stdout)
    out = tmp_path / "pictures_denoised"
    assert [record["output"] for record in records] == [str(out / "clean.png"), str(out / "noisy.png")]
    assert sorted(path.name for path in out.iterdir()) == ["clean.png", "noisy.png"]


def test_several_inputs_go_to_a_folder(picture, clean, tmp_path):
    run("denoise", picture, clean, "-o", tmp_path / "out", "--lam", 0.05)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clean.png", "noisy.png"]


def test_user_errors(picture, clean, tmp_path):
    before = picture.read_bytes()
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("not a picture")
    copy = tmp_path / "other" / "noisy.jpg"
    copy.parent.mkdir()
    copy.write_bytes(before)
    assert "no such file" in fails("denoise", tmp_path / "none.png")
    assert "not a readable image" in fails("denoise", tmp_path / "text.png")
    assert "no pictures" in fails("denoise", tmp_path / "empty")
    assert "overwrite" in fails("denoise", picture, "-o", picture)
    assert "overwrite" in fails("denoise", picture, clean, "-o", tmp_path)
    assert "same file" in fails("denoise", picture, copy, "-o", tmp_path / "out")
    assert "lossless .png" in fails("denoise", picture, "-o", tmp_path / "out.jpg")
    assert "must be a folder" in fails("denoise", picture, clean, "-o", tmp_path / "text.png")
    assert "goes alone" in fails("denoise", picture, tmp_path / "empty")
    assert "sigma" in fails("denoise", picture, "--sigma", -1)
    assert "one of them" in fails("denoise", picture, "--sigma", 5, "--lam", 1)
    assert "did you mean" in fails("denoise", picture, "--model", "tv2d.iso")
    assert "--reference" in fails("denoise", picture, clean, "--reference", clean)
    assert "give one" in fails("denoise", picture, "--add-noise", 5, "--reference", clean)
    assert "number" in fails("denoise", picture, "--sigma", "much")
    assert picture.read_bytes() == before
    assert not (tmp_path / "out").exists() and not (tmp_path / "noisy_denoised.png").exists()
