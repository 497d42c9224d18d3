"""Errors that are answers: an HTTP status and a message, in TensorFlow Serving's words."""

from __future__ import annotations


class RequestError(Exception):
    """A request that is refused.

    Attributes:
        status: of HTTP.
        message: for `{"error": …}`.
        retry_after: seconds after which a retry may succeed; None: never.
        close: whether the connection must close because the rest of the request is not read.
    """

    def __init__(
        self, status: int, message: str, retry_after: int | None = None, close: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.retry_after, self.close = retry_after, close

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
        return headers | ({"Connection": "close"} if self.close else {})
