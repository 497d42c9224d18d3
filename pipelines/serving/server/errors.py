"""What is refused, in TensorFlow Serving's words where it has any."""

from __future__ import annotations


class RequestError(Exception):
    """A request that gets no answer.

    Attributes:
        status: of HTTP.
        message: what is wrong, for `{"error": …}`.
        retry_after: seconds after which the same request may be answered; None: never.
        close: whether the connection has to end, since the rest of the request is not read.
    """

    def __init__(
        self, status: int, message: str, retry_after: int | None = None, close: bool = False
    ) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.retry_after, self.close = retry_after, close

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
        return headers | ({"Connection": "close"} if self.close else {})
