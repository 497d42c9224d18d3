"""Limits and timeouts of a server."""

from __future__ import annotations

import dataclasses

from data.media.limits import MAX_PIXELS

MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Settings:
    """The limits of a server.

    Attributes:
        max_body: bytes of a request.
        max_bodies: bytes of all requests that are being read, queued or answered.
        max_rows: rows of a request and of a batch.
        max_pixels: width × height in the header of an image.
        max_queue: rows that may wait for a model; further requests get status 429.
        max_connections: open connections; further ones are closed at once.
        delay: seconds that a request waits for others to share a batch with.
        read_timeout: seconds in which a whole request must arrive.
        timeout: seconds in which a request must be answered.
        poll: seconds between checks for a new version.
        drain: seconds for running requests when the server stops.
        api_key: required in each request; None: no key.
        origins: other sites whose pages may send requests (CORS).
    """

    max_body: int = 16 * MIB
    max_bodies: int = 256 * MIB
    max_rows: int = 32
    max_pixels: int = MAX_PIXELS
    max_queue: int = 128
    max_connections: int = 512
    delay: float = 0.002
    read_timeout: float = 30.0
    timeout: float = 60.0
    poll: float = 1.0
    drain: float = 30.0
    api_key: str | None = None
    origins: tuple[str, ...] = ()
