"""What surrounds every request: the key, the log, the metrics, errors in one form."""

from __future__ import annotations

import hmac
import json
import logging
import sys
import time
import traceback
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.prometheus import Metrics
from pipelines.serving.server.settings import Settings

LOG = logging.getLogger("wordreel.server")
_OPEN = frozenset(("/", "/healthz", "/readyz"))  # shown to whoever has no key
_ROUTES = frozenset((*_OPEN, "/metrics", "/monitoring/prometheus/metrics", "/wordreel/models"))


def error_response(request: Request, error: Any) -> Response:
    """Return an error in TensorFlow Serving's form."""
    return JSONResponse({"error": error.message}, error.status, headers=error.headers)


class Gate:
    """Asks for the key, counts and logs requests, and answers for what has failed."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._key = settings.api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-content-type-options", b"nosniff"))
            await send(message)

        request = Request(scope, receive)
        self._metrics.under_way.inc()
        try:
            if self._may(request):
                await self._app(scope, receive, watched)
            else:
                error = RequestError(401, "The API key is missing or wrong: Authorization: Bearer")
                await error_response(request, error)(scope, receive, watched)
        except Exception as error:
            LOG.error("fault", extra={"problem": repr(error), "trace": traceback.format_exc()})
            if not status:
                failed = RequestError(500, f"Internal: {type(error).__name__}", close=True)
                await error_response(request, failed)(scope, receive, watched)
        finally:
            self._metrics.under_way.dec()
            self._count(request, status, time.monotonic() - started)

    def _may(self, request: Request) -> bool:
        if self._key is None or request.url.path in _OPEN:
            return True
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._key.encode())

    def _count(self, request: Request, status: int, seconds: float) -> None:
        state = request.scope.get("state", {})
        model, path = state.get("model", ""), request.url.path
        route = "predict" if path.endswith(":predict") else path if path in _ROUTES else "other"
        self._metrics.requests.labels(model, route, str(status)).inc()
        self._metrics.seconds.labels(model, route).observe(seconds)
        facts = {
            "method": request.method,
            "path": path[:200],
            "status": status,
            "milliseconds": round(1000 * seconds, 1),
            "client": request.client.host if request.client else "",
            "model": model,
            "rows": state.get("rows"),
        }
        LOG.log(logging.WARNING if status >= 500 else logging.INFO, "request", extra=facts)


class JsonLines(logging.Formatter):
    """Writes a record as a line of JSON."""

    _known = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        facts = {key: value for key, value in vars(record).items() if key not in self._known}
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **{key: value for key, value in facts.items() if value not in (None, "")},
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def start_log() -> None:
    """Send the log to stderr, a line of JSON a record."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("wordreel.server", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "wordreel.server" else logging.WARNING)
