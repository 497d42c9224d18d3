"""Limits and timeouts of a server."""

from __future__ import annotations

import dataclasses
from functools import partial

from data.media.limits import MAX_PIXELS
from pipelines.config.option import option
from pipelines.runtime.numbers import ABOVE_ZERO, NON_NEGATIVE, POSITIVE

MIB = 2**20
_limit = partial(option, "limits", allowed=POSITIVE)
_time = partial(option, "times", allowed=ABOVE_ZERO)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The limits of a server; a field with a help text is an option of `wordreel serve`.

    Attributes:
        api_key: required in each request; None: no key.
        origins: other sites whose pages may send requests (CORS).
    """

    max_body_mib: int = _limit(16, "maximum size of a request in MiB")
    max_rows: int = _limit(32, "maximum rows of a request and of a batch")
    max_pixels: int = _limit(MAX_PIXELS, "maximum pixels of an image")
    max_queue: int = _limit(128, "rows that may wait for a model; more are refused with status 429")
    max_connections: int = _limit(512, "maximum number of open connections")
    delay: float = _time(
        0.002, "seconds that a request waits for others to share a batch with", allowed=NON_NEGATIVE
    )
    read_timeout: float = _time(30.0, "seconds in which a request must arrive")
    timeout: float = _time(60.0, "seconds in which a request must be answered")
    poll: float = _time(1.0, "seconds between checks for a new version")
    drain: float = _time(
        30.0, "seconds for running requests when the server stops", allowed=NON_NEGATIVE
    )
    api_key: str | None = None
    origins: tuple[str, ...] = ()

    @property
    def max_body(self) -> int:
        """Bytes of a request."""
        return self.max_body_mib * MIB

    @property
    def max_bodies(self) -> int:
        """Bytes of all requests that are being read, queued or answered."""
        return max(256 * MIB, 2 * self.max_body)
