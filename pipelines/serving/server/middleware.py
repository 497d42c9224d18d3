"""Around every request: the API key, the log, the Prometheus metrics, errors in one form."""

from __future__ import annotations

import hmac
import json
import logging
import sys
import time
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.settings import Settings

LOG = logging.getLogger("wordreel.server")
_PUBLIC = frozenset(("/", "/healthz", "/readyz"))  # served without a key
_ROUTES = frozenset((*_PUBLIC, "/metrics", "/monitoring/prometheus/metrics", "/wordreel/models"))


class Metrics:
    """The counters of a server, with a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        model, sizes = ["model"], (1, 2, 4, 8, 16, 32, 64)
        seconds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
        text = "Latency of a request, in seconds"
        self.requests = counter("wordreel_requests", "Requests", [*model, "route", "status"])
        self.seconds = histogram(
            "wordreel_request_seconds", text, [*model, "route"], buckets=seconds
        )
        self.batch_rows = histogram("wordreel_batch_rows", "Rows per batch", model, buckets=sizes)
        self.batch_requests = histogram(
            "wordreel_batch_requests", "Requests per batch", model, buckets=sizes
        )
        self.queue = gauge("wordreel_queue_rows", "Rows waiting", model)
        self.version = gauge("wordreel_model_version", "Version being served", model)
        self.loads = counter("wordreel_model_loads", "Attempts to load", [*model, "outcome"])
        self.active = gauge("wordreel_requests_under_way", "Requests being processed")

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)


def error_response(request: Request, error: Exception) -> Response:
    """Return an error in TensorFlow Serving's form."""
    assert isinstance(error, RequestError)
    return JSONResponse({"error": error.message}, error.status, headers=error.headers)


class Gate:
    """Checks the API key, counts and logs requests, and turns exceptions into responses."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._key = settings.api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request as an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"].append((b"x-content-type-options", b"nosniff"))
            await send(message)

        request = Request(scope, receive)
        self._metrics.active.inc()
        try:
            if self._is_authorized(request):
                await self._app(scope, receive, send_counted)
            else:
                error = RequestError(401, "The API key is missing or wrong: Authorization: Bearer")
                await error_response(request, error)(scope, receive, send_counted)
        except Exception as error:
            LOG.exception("fault", extra={"facts": {"problem": repr(error)}})
            if not status:
                failed = RequestError(500, f"Internal: {type(error).__name__}", close=True)
                await error_response(request, failed)(scope, receive, send_counted)
        finally:
            self._metrics.active.dec()
            self._count(request, status, time.monotonic() - started)

    def _is_authorized(self, request: Request) -> bool:
        if self._key is None or request.url.path in _PUBLIC:
            return True
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(key.encode(), self._key.encode())

    def _count(self, request: Request, status: int, seconds: float) -> None:
        state = request.scope.get("state", {})
        model, path = state.get("model", ""), request.url.path
        route = "predict" if path.endswith(":predict") else path if path in _ROUTES else "other"
        self._metrics.requests.labels(model, route, str(status)).inc()
        self._metrics.seconds.labels(model, route).observe(seconds)
        level = logging.WARNING if status >= 500 else logging.INFO
        facts = {
            "method": request.method,
            "path": path[:200],
            "status": status,
            "milliseconds": round(1000 * seconds, 1),
            "client": request.client.host if request.client else "",
            "model": model,
            "rows": state.get("rows"),
        }
        LOG.log(level, "request", extra={"facts": facts})


class _JsonLines(logging.Formatter):
    """Formats a record, with the values in its `facts`, as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{stamp}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        line = {key: value for key, value in line.items() if value not in (None, "")}
        return json.dumps(line, ensure_ascii=False, default=str)


def start_log() -> None:
    """Write the log to stderr as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    for name, level in (("wordreel.server", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
