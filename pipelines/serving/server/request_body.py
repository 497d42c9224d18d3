"""Request bodies, read with limits on size, time and total memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.settings import MIB, Settings

_LINGER = 2.0  # seconds


class Bodies:
    """Reads bodies; together they take at most `max_bodies` bytes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Yield a request's body; its memory counts until the block ends.

        Raises:
            RequestError: 408, 413, 415 or 429.
        """
        limit = self._settings.max_body
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestError(415, "Send the body without Content-Encoding", close=True)
        length = request.headers.get("content-length", "")
        size = int(length) if length.isdecimal() else limit
        if size > limit:
            await self._discard(request)
            raise self._too_large()
        if self._held + size > self._settings.max_bodies:
            raise RequestError(429, "Too busy: too many bytes are being read", 1, close=True)
        self._held += size
        try:
            yield await self._whole(request, limit)
        finally:
            self._held -= size

    async def _whole(self, request: Request, limit: int) -> bytes:
        parts = bytearray()
        try:
            async with asyncio.timeout(self._settings.read_timeout):
                async for part in request.stream():
                    parts += part
                    if len(parts) > limit:
                        parts.clear()
                        await self._discard(request)
                        raise self._too_large()
        except TimeoutError:
            seconds = self._settings.read_timeout
            message = f"The request did not arrive within {seconds:g} s"
            raise RequestError(408, message, close=True) from None
        except ClientDisconnect:
            raise RequestError(499, "The client disconnected", close=True) from None
        return bytes(parts)

    async def _discard(self, request: Request) -> None:
        """Read on for a moment: a client that still sends would not see the response."""
        with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
            async with asyncio.timeout(_LINGER):
                while (message := await request.receive()).get("more_body"):
                    del message

    def _too_large(self) -> RequestError:
        limit = f"{self._settings.max_body / MIB:g} MiB"
        return RequestError(413, f"The body is too large: the limit is {limit}", close=True)
