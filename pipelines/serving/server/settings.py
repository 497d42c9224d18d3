"""What a server allows, and how long it waits."""

from __future__ import annotations

import dataclasses

MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Settings:
    """The limits of a server.

    Attributes:
        max_body: bytes of a request.
        max_bodies: bytes of all requests that are read, wait or are answered at the same time.
        max_rows: rows of a request, and of what is put together from several.
        max_pixels: that the header of a picture may announce.
        max_queue: rows that may wait for a model; what would be more is refused with 429.
        max_connections: at the same time; further ones are closed at once.
        delay: seconds that a request waits for company, and on while more keep coming.
        read_timeout: seconds in which a request has to arrive whole.
        timeout: seconds in which an answer must be there.
        poll: seconds between two looks for a new version.
        drain: seconds that a server that is stopped gives to requests under way.
        api_key: that requests must carry; None: none.
        origins: of other sites' pages that may ask (CORS).
    """

    max_body: int = 16 * MIB
    max_bodies: int = 256 * MIB
    max_rows: int = 32
    max_pixels: int = 50_000_000
    max_queue: int = 128
    max_connections: int = 512
    delay: float = 0.002
    read_timeout: float = 30.0
    timeout: float = 60.0
    poll: float = 1.0
    drain: float = 30.0
    api_key: str | None = None
    origins: tuple[str, ...] = ()
