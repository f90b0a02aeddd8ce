"""A stand-in for the Hugging Face Hub: serves a folder of repositories on loopback, as its API does.

The layout is ROOT/models/ORG/NAME/... and ROOT/datasets/ORG/NAME/...
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "c0ffee" + "0" * 34


class _Handler(BaseHTTPRequestHandler):
    root: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        self.asked.append(self.path)
        path = self.path.split("?")[0].strip("/")
        if path.startswith("api/"):
            self._send_info(path.split("/")[1:])
        else:
            self._send_file(path, with_body)

    def _send_info(self, parts: list[str]) -> None:
        """/api/models/ORG/NAME[/revision/REV]: the files of a repository; /tree/REV: with their digests."""
        folder = self.root.joinpath(*parts[:3])
        if len(parts) < len(("models", "ORG", "NAME")) or not folder.is_dir():
            self._refuse("RepoNotFound")
            return
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [path.relative_to(folder).as_posix() for path in files]
        body: object = {
            "id": f"{parts[1]}/{parts[2]}",
            "sha": COMMIT,
            "siblings": [{"rfilename": name} for name in names],
        }
        if parts[3:4] == ["tree"]:
            body = [_entry(name, path.read_bytes()) for name, path in zip(names, files, strict=True)]
        self._send(json.dumps(body).encode(), {"Content-Type": "application/json"}, True)

    def _send_file(self, path: str, with_body: bool) -> None:
        """/[datasets/]ORG/NAME/resolve/REV/FILE."""
        repo, _, rest = path.partition("/resolve/")
        kind = "datasets" if repo.startswith("datasets/") else "models"
        file = self.root / kind / repo.removeprefix("datasets/") / rest.partition("/")[2]
        if not file.is_file():
            self._refuse("EntryNotFound")
            return
        body = file.read_bytes()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_digest(body)}"'}
        self._send(body, headers, with_body)

    def _refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


def _entry(name: str, content: bytes) -> dict[str, object]:
    """A file of a repository's tree; all are large ones, whose digest is that of their content."""
    large = {"oid": _digest(content), "size": len(content), "pointerSize": 127}
    return {"type": "file", "path": name, "size": len(content), "oid": "0" * 40, "lfs": large}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def serve(root: Path) -> Iterator[tuple[str, list[str]]]:
    """The stand-in's address for `HF_ENDPOINT`, and the paths it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"root": root, "asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
