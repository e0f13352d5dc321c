"""Parts of the loopback Hub: how files are sent and received, collections, Spaces."""

from __future__ import annotations

import hashlib
from json import dumps, loads
from typing import Any


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Extras:
    """Part of the server's handler."""

    hub: Any
    known: bool
    body: bytes
    command: str
    headers: Any
    reply: Any
    json: Any
    error: Any
    allowed: Any

    def collection(self, rest: list[str]) -> None:
        if self.command == "POST" and not self.known:
            self.error(401, "Invalid username or password.")
            return
        if not rest:
            wanted = loads(self.body)
            slug = f"{wanted['namespace']}/{wanted['title'].lower().replace(' ', '-')}-0123"
            if slug in self.hub.collections:
                self.json({"error": "exists", "slug": slug}, 409)
                return
            self.hub.collections[slug] = {
                "slug": slug,
                "title": wanted["title"],
                "owner": {"name": wanted["namespace"]},
                "items": [],
                "lastUpdated": "2026-01-01T00:00:00.000Z",
                "position": 0,
                "private": wanted["private"],
                "theme": "green",
                "upvotes": 0,
            }
            self.json(self.hub.collections[slug])
            return
        one = self.hub.collections["/".join(rest[:2])]
        if rest[2:] == ["items"]:
            item = loads(self.body)["item"]
            if any(other["id"] == item["id"] for other in one["items"]):
                self.error(409, "already in the collection")
                return
            one["items"].append({"_id": str(len(one["items"])), **item, "position": len(one["items"])})
        self.json(one)

    def discussions(self, repo: Any) -> None:
        """The pull requests that are open, which is all that is asked for."""
        when = "2026-01-01T00:00:00.000Z"
        where = {"name": repo.name, "type": repo.kind}
        fields = {"title": "x", "createdAt": when, "status": "open", "isPullRequest": True, "repo": where}
        numbers = [int(ref.rsplit("/", 1)[1]) for ref in repo.refs if ref.startswith("refs/pr/")]
        found = [{"num": n, **fields} for n in numbers if f"refs/pr/{n}" not in repo.closed]
        self.json({"count": len(found), "start": 0, "discussions": found})

    def space(self, repo: Any, verb: str) -> None:
        if verb == "logs":
            when = "2026-01-01T00:00:00.000Z"
            lines = ["Collecting torch\n", "ERROR: No matching distribution found for zoo\n"]
            events = "".join(f"data: {dumps({'data': line, 'timestamp': when})}\n\n" for line in lines)
            self.reply = (200, {"Content-Type": "text/event-stream"}, events.encode())
            return
        if verb == "hardware":
            repo.extra["hardware"] = loads(self.body)["flavor"]
        self.hub.polls += verb == "runtime"
        stage = "BUILDING" if self.hub.polls < 3 else self.hub.faults.build
        hardware = {"current": repo.extra.get("hardware"), "requested": repo.extra.get("hardware")}
        self.json({"stage": stage, "hardware": hardware, "storage": None, "gcTimeout": 0})

    def batch(self, kind: str, name: str) -> None:
        if self.allowed(kind, name, write=True) is None:
            return
        objects = []
        for one in loads(self.body)["objects"]:
            item = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.hub.large:
                item["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}
            objects.append(item)
        self.json({"transfer": "basic", "objects": objects})

    def file_content(self, content: bytes, path: str) -> None:
        etag = git_hash(content)
        if path in self.hub.faults.corrupt:
            content = bytes([content[0] ^ 1]) + content[1:]
        headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        wanted = self.headers.get("Range")
        if wanted:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.reply = (206, headers, content[start:])
        elif self.command == "HEAD":
            self.reply = (200, {**headers, "Content-Length": str(len(content))}, b"")
        else:
            self.reply = (200, headers, content)
