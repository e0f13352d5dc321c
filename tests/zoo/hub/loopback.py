"""A Hub on loopback: a threaded HTTP server that speaks the Hub's API to the real client, and breaks where it is told.

What it does is what huggingface_hub 2.4 asks of it: repositories, commits with git's hashes for small files and LFS for
large ones, tags, pull requests, files with ETag and commit headers, collections and Spaces. State is in memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from loopback_extras import Extras, git_hash

TOKEN = "hf_loopbackTokenThatMustNeverBeSeen"
USER = "someone"
ORGS = ("lab",)
LARGE = 20_000
"""Regular files are at most this large, in bytes."""


@dataclass
class Repo:
    kind: str
    name: str
    private: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    """What else its creation said: the hardware of a Space."""
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Files by commit."""
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    """Pull requests that are no longer open, as `refs/pr/1`."""

    def commit(self, ref: str, files: dict[str, bytes], message: str) -> str:
        content = json.dumps([message, len(self.commits), sorted((k, git_hash(v)) for k, v in files.items())])
        sha = hashlib.sha1(content.encode()).hexdigest()
        self.commits[sha] = files
        self.refs[ref] = sha
        return sha

    def find(self, revision: str) -> str | None:
        if revision in self.commits:
            return revision
        return self.refs.get(revision) or self.tags.get(revision)

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.refs["main"]]


@dataclass
class Faults:
    """What goes wrong; each is off by default."""

    cut_download: int | None = None
    """Close the connection after so many bytes of a file."""
    cut_times: int = 10**6
    """How many downloads are cut."""
    break_write: int | None = None
    """Close the connection at the n-th request that writes, without an answer."""
    after_effect: bool = False
    """Break it after it took effect, and not before."""
    corrupt: set[str] = field(default_factory=set)
    """Files of which one byte is sent wrong."""
    conflict: bool = False
    """Somebody else commits just before each commit."""
    build: str = "RUNNING"
    """The stage in which a Space ends."""


class LoopbackHub:
    """The server; `url` is its endpoint."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.large: dict[str, bytes] = {}
        self.collections: dict[str, dict[str, Any]] = {}
        self.faults = Faults()
        self.log: list[tuple[str, str, int]] = []
        self.writes = 0
        self.polls = 0
        self.lock = threading.RLock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def repo(self, name: str, kind: str = "model") -> Repo:
        return self.repos[kind, name]

    def state(self) -> dict[str, Any]:
        """What a visitor finds: files at main, tags, collections."""
        return {
            "files": {f"{kind}/{name}": dict(repo.files) for (kind, name), repo in self.repos.items()},
            "tags": {
                f"{kind}/{name}": {tag: repo.commits[sha] for tag, sha in repo.tags.items()}
                for (kind, name), repo in self.repos.items()
            },
            "collections": {slug: [item["id"] for item in one["items"]] for slug, one in self.collections.items()},
        }


def _handler(hub: LoopbackHub) -> type[BaseHTTPRequestHandler]:
    class Bound(_Handler):
        pass

    Bound.hub = hub
    return Bound


class _Handler(Extras, BaseHTTPRequestHandler):
    hub: LoopbackHub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        pass

    # --- requests ---

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer(writes=not self.path.startswith("/api/validate-yaml") and "/preupload/" not in self.path)

    def do_PUT(self) -> None:
        self.answer(writes=True)

    def answer(self, writes: bool = False) -> None:
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        with self.hub.lock:
            breaks = False
            if writes:
                self.hub.writes += 1
                breaks = self.hub.writes == self.hub.faults.break_write
            if breaks and not self.hub.faults.after_effect:
                self.drop()
                return
            self.body = self.read_body()
            self.reply: tuple[int, dict[str, str], bytes] | None = None
            self.route(parts)
            if breaks:
                self.drop()
                return
        assert self.reply is not None
        self.send(*self.reply)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.hub.log.append((self.command, self.path, status))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        limit = self.hub.faults.cut_download
        file = "/resolve/" in self.path or self.path.startswith("/cdn/")
        if limit is not None and file and len(content) > limit and self.hub.faults.cut_times > 0:
            self.hub.faults.cut_times -= 1
            self.wfile.write(content[:limit])
            self.wfile.flush()
            self.drop()
            return
        self.wfile.write(content)

    def json(self, data: Any, status: int = 200) -> None:
        self.reply = (status, {"Content-Type": "application/json"}, json.dumps(data).encode())

    def error(self, status: int, message: str, code: str | None = None) -> None:
        headers = {"Content-Type": "application/json", "X-Error-Message": message}
        if code:
            headers["X-Error-Code"] = code
        self.reply = (status, headers, json.dumps({"error": message}).encode())

    # --- what is asked for ---

    def route(self, parts: list[str]) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.known = token == TOKEN
        if token and not self.known:
            self.error(401, "Invalid credentials in Authorization header")
        elif parts[0] == "cdn":
            self.file_content(self.hub.large[parts[1]], parts[2])
        elif parts[0] == "lfs":
            if hashlib.sha256(self.body).hexdigest() != parts[1]:
                self.error(400, "content and hash differ")
                return
            self.hub.large[parts[1]] = self.body
            self.json({})
        elif parts[:2] == ["api", "whoami-v2"]:
            self.whoami()
        elif parts[:2] == ["api", "validate-yaml"]:
            self.json({"errors": [], "warnings": []})
        elif parts[:3] == ["api", "repos", "create"]:
            self.create()
        elif parts[:2] == ["api", "collections"]:
            self.collection(parts[2:])
        elif parts[0] == "api" and parts[1] in ("models", "spaces") and len(parts) >= 4:
            self.repo_api(parts[1][:-1], f"{parts[2]}/{parts[3]}", parts[4:])
        else:
            kind, parts = ("space", parts[1:]) if parts[0] == "spaces" else ("model", parts)
            if len(parts) > 4 and parts[1].endswith(".git") and parts[2:4] == ["info", "lfs"]:
                self.batch(kind, f"{parts[0]}/{parts[1][:-4]}")
            elif len(parts) > 4 and parts[2] == "resolve":
                self.resolve(kind, f"{parts[0]}/{parts[1]}", parts[3], "/".join(parts[4:]))
            else:
                self.error(404, "no such page")

    def allowed(self, kind: str, name: str, write: bool = False) -> Repo | None:
        repo = self.hub.repos.get((kind, name))
        if repo is None or (repo.private and not self.known):
            self.error(401 if not self.known else 404, "Repository not found", "RepoNotFound")
            return None
        if write and not self.known:
            self.error(401, "Invalid username or password.")
            return None
        return repo

    def whoami(self) -> None:
        if not self.known:
            self.error(401, "Invalid username or password.")
            return
        orgs = [{"name": name, "roleInOrg": "write"} for name in ORGS]
        self.json({"type": "user", "name": USER, "orgs": orgs, "auth": {"accessToken": {"role": "write"}}})

    def create(self) -> None:
        wanted = json.loads(self.body)
        owner = wanted.get("organization") or USER
        if not self.known:
            self.error(401, "Invalid username or password.")
            return
        if owner not in (USER, *ORGS):
            self.error(403, f"You don't have the rights to create a model under the namespace {owner}")
            return
        key = (wanted.get("type", "model"), f"{owner}/{wanted['name']}")
        prefix = "spaces/" if key[0] == "space" else ""
        url = f"{self.hub.url}/{prefix}{key[1]}"
        if key in self.hub.repos:
            self.json({"error": "You already created this repo", "url": url}, 409)
            return
        repo = Repo(*key, private=wanted.get("visibility") == "private", extra=wanted)
        repo.commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"}, "initial commit")
        self.hub.repos[key] = repo
        self.json({"url": url, "name": key[1], "id": "0"})

    def repo_api(self, kind: str, name: str, rest: list[str]) -> None:
        verb = rest[0] if rest else "revision"
        repo = self.allowed(kind, name, write=self.command == "POST")
        if repo is None:
            return
        if kind == "space" and verb in ("runtime", "logs", "hardware"):
            self.space(repo, verb)
            return
        if verb == "refs":
            requests = {name: sha for name, sha in repo.refs.items() if name.startswith("refs/pr/")}
            branches = {name: sha for name, sha in repo.refs.items() if name not in requests}
            refs = [
                ("branches", "refs/heads/", branches),
                ("tags", "refs/tags/", repo.tags),
                ("pullRequests", "", requests),
            ]
            listed = {
                what: [{"name": n, "ref": prefix + n, "targetCommit": sha} for n, sha in found.items()]
                for what, prefix, found in refs
            }
            self.json({**listed, "converts": []})
            return
        if verb == "discussions":
            self.discussions(repo)
            return
        revision = rest[1] if len(rest) > 1 else "main"
        sha = repo.find(revision)
        if sha is None:
            self.error(404, "Invalid rev id", "RevisionNotFound")
        elif verb == "revision":
            siblings = [{"rfilename": path} for path in sorted(repo.commits[sha])]
            self.json({"_id": "0", "id": name, "sha": sha, "private": repo.private, "tags": [], "siblings": siblings})
        elif verb == "tree":
            self.json([_tree_item(path, content) for path, content in sorted(repo.commits[sha].items())])
        elif verb == "preupload":
            self.json({"files": [self.upload_mode(repo.commits[sha], one) for one in json.loads(self.body)["files"]]})
        elif verb == "commit":
            self.commit(repo, revision)
        elif verb == "tag":
            tag = json.loads(self.body)["tag"]
            if tag in repo.tags:
                self.error(409, "Tag reference exists already")
            else:
                repo.tags[tag] = sha
                self.json({})
        else:
            self.error(404, f"no such call {verb}")

    @staticmethod
    def upload_mode(files: dict[str, bytes], wanted: dict[str, Any]) -> dict[str, Any]:
        path = wanted["path"]
        large = path.endswith(".safetensors") or wanted["size"] > LARGE
        here = files.get(path)
        oid = None if here is None else hashlib.sha256(here).hexdigest() if large else git_hash(here)
        return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, "oid": oid}

    def commit(self, repo: Repo, revision: str) -> None:
        lines = [json.loads(line) for line in self.body.splitlines()]
        header = lines[0]["value"]
        if self.hub.faults.conflict:
            repo.commit("main", {**repo.files, "stranger.txt": b"%d" % len(repo.commits)}, "by somebody else")
        ref = revision
        if "create_pr" in self.query:
            number = 1 + sum(name.startswith("refs/pr/") for name in repo.refs)
            ref = f"refs/pr/{number}"
            repo.refs[ref] = repo.refs[revision]
        if header.get("parentCommit") not in (None, repo.refs[ref]):
            self.error(412, "A commit has happened since. Please refresh and try again.")
            return
        files = dict(repo.commits[repo.refs[ref]])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.large:
                    self.error(422, f"the content of {value['path']} was not uploaded")
                    return
                files[value["path"]] = self.hub.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        sha = repo.commit(ref, files, header["summary"])
        answer = {"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/{repo.name}/commit/{sha}"}
        if ref.startswith("refs/pr/"):
            answer["pullRequestUrl"] = f"{self.hub.url}/{repo.name}/discussions/{ref.rsplit('/', 1)[1]}"
        self.json(answer)

    def resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        repo = self.allowed(kind, name)
        if repo is None:
            return
        sha = repo.find(revision)
        if sha is None:
            self.error(404, "Invalid rev id", "RevisionNotFound")
            return
        content = repo.commits[sha].get(path)
        if content is None:
            self.error(404, "Entry not found", "EntryNotFound")
            assert self.reply is not None
            self.reply[1]["X-Repo-Commit"] = sha
            return
        if path.endswith(".safetensors"):
            oid = hashlib.sha256(content).hexdigest()
            self.hub.large[oid] = content
            linked = {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(content)), "X-Repo-Commit": sha}
            # another host, as with the real one: the client follows redirects within one, and sends no token elsewhere
            elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
            self.reply = (302, {"Location": f"{elsewhere}/cdn/{oid}/{path}", **linked}, b"")
            return
        self.file_content(content, path)
        assert self.reply is not None
        self.reply[1]["X-Repo-Commit"] = sha


def _tree_item(path: str, content: bytes) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
    if path.endswith(".safetensors") or len(content) > LARGE:
        item["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return item
