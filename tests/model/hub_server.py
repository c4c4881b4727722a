"""A server on the loopback interface that answers what huggingface_hub asks of the hub, for the models in a folder."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """FOLDER/ORG/NAME is the repository ORG/NAME, with the revisions main and COMMIT."""

    def __init__(self, folder: Path, *arguments):
        self.folder = folder
        super().__init__(*arguments)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._describe("/".join(parts[2:4]), *parts[4:6])
        elif parts[2:3] == ["resolve"]:
            self._send_file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))

    def _describe(self, repository: str, what: str = "revision", revision: str = "main"):
        files = sorted(path for path in (self.folder / repository).rglob("*") if path.is_file())
        if not files:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", COMMIT):
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        names = [path.relative_to(self.folder / repository).as_posix() for path in files]
        if what == "tree":
            listed = [
                {"type": "file", "path": name, "size": path.stat().st_size, "oid": etag(path)}
                for name, path in zip(names, files, strict=True)
            ]
            return self._send(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})
        described = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
        return self._send(200, json.dumps(described).encode(), {"Content-Type": "application/json"})

    def _send_file(self, repository: str, revision: str, name: str):
        path = self.folder / repository / name
        if not path.is_file() or revision not in ("main", COMMIT):
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        return self._send(200, path.read_bytes(), {"ETag": f'"{etag(path)}"', "X-Repo-Commit": COMMIT})

    def _send(self, status: int, content: bytes, headers: dict[str, str]):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def etag(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest()


@contextmanager
def hub_of(folder: Path) -> Iterator[str]:
    """The address of a server for the models in `folder`, which ends with the context."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, folder))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
