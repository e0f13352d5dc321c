"""A mirror of files: every bundled model comes from it, through huggingface_hub where the server sends its headers."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError
from typer.testing import CliRunner

import zoo
from zoo.checkpoints import file_sha256
from zoo.cli import app
from zoo.hub.mirror import ORG, mirror, mirrored_names
from zoo.hub.pull import pull
from zoo.hub.serve import make_server
from zoo.hub.verify import verify

NAMES = mirrored_names()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mirror")
    result = CliRunner().invoke(app, ["mirror", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    assert [record["name"] for record in json.loads(result.stdout)] == NAMES
    return folder


@pytest.fixture
def use(hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ThreadingHTTPServer | str], str]]:
    """Serves in place of the Hub; the client has no token, as in a lab."""
    servers = []
    hub.close()
    monkeypatch.delenv("HF_TOKEN")

    def start(server: ThreadingHTTPServer | str) -> str:
        if isinstance(server, str):
            url = server
        else:
            servers.append(server)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        return url

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def every_model_comes(tree: Path) -> None:
    """By the library alone, pinned and not, and as a whole."""
    commits = {record["commit"] for record in json.loads((tree / "mirror.json").read_text()).values()}
    for name in NAMES:
        repo = f"{ORG}/{name}"
        path = Path(hf_hub_download(repo, "model.safetensors"))
        assert file_sha256(path) == zoo.info(name).sha256
        assert path.parent.name in commits
        assert Path(hf_hub_download(repo, "config.json", revision=path.parent.name)).parent == path.parent
        whole = Path(snapshot_download(repo))
        assert whole == path.parent and {one.name for one in whole.iterdir()} >= {"README.md", "LICENSE"}
        assert verify(repo).good


def test_zoo_mirror_serve(tree: Path, use) -> None:
    use(make_server(tree, port=0, quiet=True))
    every_model_comes(tree)


def test_the_verb_serves(tree: Path, use) -> None:
    command = ["-c", "from zoo.cli import app; app()", "mirror", str(tree), "--serve", "--port", "0"]
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "export HF_ENDPOINT=http://127.0.0.1:" in line
        use(line.rsplit("=", 1)[1].strip())
        assert file_sha256(hf_hub_download(f"{ORG}/{NAMES[0]}", "model.safetensors")) == zoo.info(NAMES[0]).sha256
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx(tree: Path, use, tmp_path: Path) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = (tree / "nginx.conf").read_text().replace("listen 8080", f"listen 127.0.0.1:{port}")
    # as any user, in a folder of its own
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    text = text.replace("http {", f"http {{ access_log off; {paths}", 1)
    (tmp_path / "nginx.conf").write_text(f"user root;\npid {tmp_path}/pid;\ndaemon off;\n{text}")
    tree.chmod(0o755)
    command = ["nginx", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        url = use(f"http://127.0.0.1:{port}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for _ in range(200):
            try:
                opener.open(f"{url}/mirror.json", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, process.stderr and process.stderr.read()
                threading.Event().wait(0.02)
        every_model_comes(tree)
    finally:
        process.terminate()
        process.wait(10)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_plain_file_server(tree: Path, use, registered, without_bundle: Path, tmp_path: Path) -> None:
    """Python's http.server sends neither commit nor ETag: the library refuses it, `zoo pull` and `zoo.load` do not."""
    handler = functools.partial(Quiet, directory=str(tree))
    use(ThreadingHTTPServer(("127.0.0.1", 0), handler))
    with pytest.raises(LocalEntryNotFoundError, match="X-Repo-Commit"):
        hf_hub_download(f"{ORG}/{NAMES[0]}", "model.safetensors")
    for name in NAMES:
        registered(name, hub=f"{ORG}/{name}")
        path = pull(name).path
        assert path is not None and file_sha256(path) == zoo.info(name).sha256
    for name in NAMES:  # after all were fetched, because some run with the encoder
        assert verify(f"{ORG}/{name}").good
    with pytest.raises(OSError, match="answers 404"):
        pull_plain("lab/nothing")
    path = tree / ORG / NAMES[0] / "resolve" / "main" / "model.safetensors"
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-1] + b"?")
        shutil.rmtree(tmp_path / "hf")
        with pytest.raises(ValueError, match="wrong sha256"):
            pull(NAMES[0])
        assert not list((tmp_path / "hf").rglob("model.safetensors"))
    finally:
        path.write_bytes(content)


def pull_plain(repo: str) -> None:
    from zoo.hub import plain

    plain.download(repo, "model.safetensors", None)


def test_the_tree_is_the_same_again(tree: Path, tmp_path: Path) -> None:
    mirror(tmp_path / "again", NAMES[:1])
    mirror(tmp_path / "again", NAMES[:1])
    for path in (tmp_path / "again").rglob("*"):
        if path.is_file() and path.name not in ("mirror.json", "nginx.conf"):
            assert path.read_bytes() == (tree / path.relative_to(tmp_path / "again")).read_bytes()
    assert not list(tree.rglob("*.part"))


def test_pinned_models_keep_their_commit(tmp_path: Path, registered) -> None:
    commit = "a" * 40
    registered(NAMES[0], hub=f"lab/theirs@{commit}")
    (made,) = mirror(tmp_path, NAMES[:1])
    assert (made.repo, made.commit) == ("lab/theirs", commit)
    for revision in ("main", commit):
        assert (tmp_path / "lab/theirs/resolve" / revision / "model.safetensors").is_file()


def test_solvers_and_empty_folders(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["mirror", str(tmp_path), "tv2d.isotropic"])
    assert result.exit_code == 2 and "it is a solver" in result.stderr
    with pytest.raises(ValueError, match=r"no mirror, it lacks mirror\.json"):
        make_server(tmp_path)
