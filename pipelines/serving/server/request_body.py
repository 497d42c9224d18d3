"""Bodies of requests, read with limits on their size, their time and their sum."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.settings import MIB, Settings

_LINGER = 2.0  # seconds for which the rest of a refused body is read, lest it hide the answer


class Bodies:
    """Reads bodies; all that are held at a time stay below `max_bodies` bytes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Give a request's body to the block; its memory is counted until the block ends.

        Raises:
            RequestError: 408, 413, 415 or 429.
        """
        most = self._settings.max_body
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise RequestError(415, "Send the body as it is, without Content-Encoding", close=True)
        announced = request.headers.get("content-length", "")
        size = int(announced) if announced.isdecimal() else most
        if size > most:
            await self._throw_away(request)
            raise self._too_large()
        if self._held + size > self._settings.max_bodies:
            raise RequestError(429, "Too busy: too much is being read; try again", 1, close=True)
        self._held += size
        try:
            yield await self._whole(request, most)
        finally:
            self._held -= size

    async def _whole(self, request: Request, most: int) -> bytes:
        parts = bytearray()
        try:
            async with asyncio.timeout(self._settings.read_timeout):
                async for part in request.stream():
                    parts += part
                    if len(parts) > most:
                        parts.clear()
                        await self._throw_away(request)
                        raise self._too_large()
        except TimeoutError:
            raise RequestError(
                408, f"The request did not arrive in {self._settings.read_timeout:g} s", close=True
            ) from None
        except ClientDisconnect:
            raise RequestError(499, "The client went away", close=True) from None
        return bytes(parts)

    async def _throw_away(self, request: Request) -> None:
        """Read on for a moment: a client that still sends would not see the answer."""
        with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
            async with asyncio.timeout(_LINGER):
                while (message := await request.receive()).get("more_body"):
                    del message

    def _too_large(self) -> RequestError:
        return RequestError(
            413, f"The body is too large: at most {self._settings.max_body / MIB:g} MiB", close=True
        )
