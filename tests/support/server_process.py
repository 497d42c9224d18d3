"""`wordreel serve` in its own process, and requests to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

PATIENCE = 900.0  # seconds; long enough for a slow machine


class Server:
    """A running server.

    Attributes:
        port: where it listens on 127.0.0.1.
        log: its lines so far.
    """

    def __init__(self, *words: object, environment: dict[str, str] | None = None) -> None:
        """Start the server on a free port."""
        self.log: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli.main", "serve", *map(str, words), "--port", "0"],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), (line, self.log)
        self.port = int(line.rstrip("/\n").rpartition(":")[2])

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self.log.append(line)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, method: str = ""
    ) -> tuple[int, Any, Any]:
        """Return the status, headers and JSON (or text) of a response."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            with contextlib.suppress(ConnectionError):  # refused before all was sent
                verb = method or ("GET" if data is None else "POST")
                connection.request(verb, path, data, headers or {})
            with connection.getresponse() as answer:
                text = answer.read().decode()
        try:
            return answer.status, answer.headers, json.loads(text)
        except ValueError:
            return answer.status, answer.headers, text

    def until(self, path: str, holds: Any) -> Any:
        """Repeat a request until the response satisfies a condition; return it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self.ask(path)
            if holds(answer):
                return answer
            time.sleep(0.1)
        raise AssertionError((path, answer, self.log[-10:]))

    def ready(self) -> Server:
        """Wait until every model is loaded."""
        self.until("/readyz", lambda answer: answer[0] == 200)
        return self

    def memory(self) -> int:
        """Return the resident bytes of the process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def wait(self) -> int:
        """Wait for the process to end; return its exit code."""
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """Stop the process."""
        with self._process:  # closes the pipes
            self._process.kill()
            self._reader.join()


@contextlib.contextmanager
def serving(*words: object, **settings: Any) -> Iterator[Server]:
    server = Server(*words, **settings)
    try:
        yield server
    finally:
        server.kill()
