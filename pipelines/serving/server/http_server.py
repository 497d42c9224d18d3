"""The listening side: a socket of our own, and connections that may not stall."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from data.common.errors import UserError
from pipelines.serving.server.middleware import start_log
from pipelines.serving.server.settings import Settings


def _refusal(status: bytes, error: bytes) -> bytes:
    """Return the answer to what is no request that a route could refuse."""
    body = b'{"error":"%b"}' % error
    return (
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        b"Connection: close\r\n\r\n%b"
    ) % (status, len(body), body)


_TOO_SLOW = _refusal(b"408 Request Timeout", b"The request did not arrive in time")
_MALFORMED = _refusal(b"400 Bad Request", b"Malformed request: not HTTP/1.1")


class Patient(H11Protocol):
    """HTTP of which the first bytes and each next request have to arrive in time, and be read.

    Uvicorn waits forever for a request's headers, and for a client to read its answer: one that
    sends or reads a byte a minute would keep its connection. Bodies have a limit of their own, see
    `pipelines.serving.server.request_body`. What is too slow is told so with status 408, what is
    not HTTP with 400, as JSON like all errors; then the connection ends.
    """

    settings: ClassVar[Settings]
    open: ClassVar[set[Any]] = set()
    _watch: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request; close at once what is one connection too many."""
        super().connection_made(transport)
        self.open.add(self)
        if len(self.open) > self.settings.max_connections:
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of the headers, if they are not whole."""
        if self._watch is None and not self._asked():
            self._wait()
        super().data_received(data)
        if self._asked() and self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self.open.discard(self)
        if self._watch is not None:
            self._watch.cancel()
        if self._unread is not None:
            self._unread.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.settings.read_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop waiting."""
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the form of all errors; Uvicorn would in plain text."""
        if not self._asked() or not self.cycle.response_started:
            self.transport.write(_MALFORMED)
        self.transport.close()

    def _asked(self) -> bool:
        """Whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._watch = self.loop.call_later(self.settings.read_timeout, self._give_up)

    def _give_up(self) -> None:
        self._watch = None
        if not self._asked() and not self.transport.is_closing():
            self.transport.write(_TOO_SLOW)
            self.transport.close()


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UserError: if the address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        raise UserError(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another --port or "
            "--host, or stop what listens there"
        ) from None
    return listening


def serve(app: Any, listening: socket.socket, settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT; then answer what is under way, and return."""
    start_log()
    protocol = type("Connection", (Patient,), {"settings": settings, "open": set()})
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=int(settings.drain),
    )
    # Uvicorn ends in an orderly way, then raises the signal that it got once more.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listening])
