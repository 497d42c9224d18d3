"""The HTTP server: its socket, and connections that may not stall."""

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
    """Return a response to bytes that no route can refuse."""
    body = b'{"error":"%b"}' % error
    return (
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        b"Connection: close\r\n\r\n%b"
    ) % (status, len(body), body)


_TOO_SLOW = _refusal(b"408 Request Timeout", b"The request did not arrive in time")
_MALFORMED = _refusal(b"400 Bad Request", b"Malformed request: not HTTP/1.1")


class Connection(H11Protocol):
    """An HTTP connection that closes if the client is too slow.

    Uvicorn waits forever for a request's headers and for a client to read its response: a client
    that sends or reads one byte a minute would keep its connection. Bodies have their own limit,
    see `pipelines.serving.server.request_body`. Slow headers get status 408, bytes that are not
    HTTP get 400, as JSON like all errors; then the connection closes.
    """

    settings: ClassVar[Settings]
    _unsent: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the timeout for a request; close the connection at once if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.settings.max_connections:
            transport.abort()
            return
        self._start_timeout()

    def data_received(self, data: bytes) -> None:
        """Start the timeout for the rest of the headers, if they are incomplete."""
        if self._unsent is None and not self._is_active():
            self._start_timeout()
        super().data_received(data)
        if self._is_active() and self._unsent is not None:
            self._unsent.cancel()
            self._unsent = None

    def pause_writing(self) -> None:
        """Start the timeout for the client to read."""
        super().pause_writing()
        self._unread = self.loop.call_later(self.settings.read_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancel the timeout."""
        if self._unread is not None:
            self._unread.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are not HTTP, as JSON; Uvicorn would answer in plain text."""
        if not self._is_active() or not self.cycle.response_started:
            self.transport.write(_MALFORMED)
        self.transport.close()

    def _is_active(self) -> bool:
        """Return whether a request is being processed."""
        return self.cycle is not None and not self.cycle.response_complete

    def _start_timeout(self) -> None:
        self._unsent = self.loop.call_later(self.settings.read_timeout, self._on_timeout)

    def _on_timeout(self) -> None:
        self._unsent = None
        if not self._is_active() and not self.transport.is_closing():
            self.transport.write(_TOO_SLOW)
            self.transport.close()


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        UserError: if the address is in use or does not belong to this machine.
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
            "--host, or stop the process that listens there"
        ) from None
    return listening


def serve(app: Any, listening: socket.socket, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish the running requests, and return."""
    start_log()
    protocol = type("LimitedConnection", (Connection,), {"settings": settings})
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
    # Uvicorn shuts down in order, then raises the received signal again.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    uvicorn.Server(config).run(sockets=[listening])
