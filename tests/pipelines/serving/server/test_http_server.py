"""Stalled connections to a server whose responses are larger than any buffer."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.paths import ROOT

SIZE = 64 * 2**20
SERVER = f"""
from pipelines.serving.server.http_server import bind, serve
from pipelines.serving.server.settings import Settings

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send(dict(type="lifespan.startup.complete"))
        await send(dict(type="lifespan.shutdown.complete"))
    else:
        size = (b"content-length", b"{SIZE}")
        await send(dict(type="http.response.start", status=200, headers=[size]))
        await send(dict(type="http.response.body", body=bytes({SIZE})))

listening = bind("127.0.0.1", 0)
print(listening.getsockname()[1], flush=True)
serve(app, listening, Settings(read_timeout=1.0, max_connections=2))
"""


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout
        yield "127.0.0.1", int(process.stdout.readline())
        process.terminate()


def read(client: socket.socket) -> int:
    """Return the number of received bytes."""
    count = 0
    with contextlib.suppress(ConnectionError):
        while part := client.recv(2**20):
            count += len(part)
    return count


def test_a_client_that_does_not_read_is_disconnected(address: tuple[str, int]) -> None:
    asked = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(address)) for _ in range(2)]
        for client in idle:
            client.sendall(asked)
        # Both connections are occupied until the server closes the idle ones.
        whole = 0
        for _ in range(100):
            with socket.create_connection(address, timeout=60) as client:
                client.settimeout(60)
                with contextlib.suppress(ConnectionError):
                    client.sendall(asked)
                    whole = read(client)
            if whole > SIZE:
                break
            time.sleep(0.1)
        assert whole > SIZE
        assert all(read(client) < SIZE for client in idle)
