"""The routes of a server: TensorFlow Serving's REST API, the page, health and metrics."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from data.media.words import tokenize_with_spaces
from pipelines.serving.server import rest_json
from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.middleware import Gate, Metrics, error_response
from pipelines.serving.server.model_manager import Model, Served, watch
from pipelines.serving.server.request_body import Bodies
from pipelines.serving.server.servable import Version
from pipelines.serving.server.settings import Settings
from pipelines.serving.server.uploads import check_any_row_valid, check_image_sizes, sample_clip

START_MARK, END_MARK = "▸", "◂"  # the start and end tokens, as the page shows them
PAGE = Path(__file__).parent / "static" / "page.html"
_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]{1,18}))?"
    r"(?:(?P<metadata>/metadata)|:(?P<verb>[a-z]+))?",
    re.IGNORECASE,
)
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' blob: data:; media-src blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


def make_app(folders: Mapping[str, Path], settings: Settings) -> ASGIApp:
    """Return the ASGI application for folders of versions, by model name."""
    metrics = Metrics()
    models = {name: Model(name, folder, settings, metrics) for name, folder in folders.items()}
    routes = _Routes(models, settings, metrics)
    middleware = [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "Authorization"],
            expose_headers=["Retry-After"],
        ),
        Middleware(Gate, settings=settings, metrics=metrics),
    ]
    app = Starlette(
        routes=[
            Route("/", routes.page),
            Route("/healthz", routes.health),
            Route("/readyz", routes.ready),
            Route("/metrics", routes.metrics),
            Route("/monitoring/prometheus/metrics", routes.metrics),
            Route("/wordreel/models", routes.describe),
            Route("/wordreel/models/{name}/words", routes.words),
            Route("/wordreel/models/{name}/frames", routes.frames, methods=["POST"]),
            Route("/wordreel/models/{name}/split", routes.split, methods=["POST"]),
            Route("/v1/{rest:path}", routes.serving, methods=["GET", "POST"]),
        ],
        middleware=middleware if settings.origins else middleware[1:],
        exception_handlers={
            RequestError: error_response,
            404: lambda request, _: _malformed(request, 404),
            405: lambda request, _: _malformed(request, 405),
        },
        lifespan=routes.lifespan,
    )
    app.router.redirect_slashes = False  # clients of TensorFlow Serving do not follow redirects
    return app


def _malformed(request: Request, status: int) -> Response:
    path = request.url.path[:200]
    return JSONResponse({"error": f"Malformed request: {request.method} {path}"}, status)


class _Routes:
    """A method for each route."""

    def __init__(self, models: dict[str, Model], settings: Settings, metrics: Metrics) -> None:
        self.models, self.settings, self._metrics = models, settings, metrics
        self.bodies = Bodies(settings)
        self._clip_slot = asyncio.Semaphore()  # one clip is decoded at a time: it takes memory
        self._page = PAGE.read_bytes()

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Watch the models while the server runs; at its end answer waiting requests."""
        models = self.models.values()
        watching = asyncio.create_task(watch(models, self.settings.poll))
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.settings.drain):
                    await asyncio.gather(*(model.close() for model in models))

    async def page(self, request: Request) -> Response:
        headers = {
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        }
        return Response(self._page, media_type="text/html; charset=utf-8", headers=headers)

    async def health(self, request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        ready = all(model.served is not None for model in self.models.values())
        return JSONResponse({"status": "ready" if ready else "loading"}, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def describe(self, request: Request) -> Response:
        """Return what the page needs about the loaded models."""
        keys = ("task", "answer", "input", "labels", "search", "signatures")
        loaded = []
        for model in self.models.values():
            if model.served is not None:
                version = model.served.version
                specs = {name: list(inputs) for name, inputs in version.specs.items()}
                info = {key: version.info[key] for key in keys if key in version.info}
                loaded.append(
                    {"name": model.name, "version": version.number, "takes": specs, **info}
                )
        limits = {"body": self.settings.max_body, "rows": self.settings.max_rows}
        return JSONResponse({"models": loaded, "limits": limits})

    def find(self, name: str) -> Model:
        if name not in self.models:
            raise RequestError(404, f"Servable not found for request: Latest({name[:100]})")
        return self.models[name]

    async def words(self, request: Request) -> Response:
        served = self.find(request.path_params["name"]).find()
        return JSONResponse(served.version.words)

    async def frames(self, request: Request) -> Response:
        """Sample an uploaded clip as in training; return the frames for a predict request."""
        served = self.find(request.path_params["name"]).find()
        async with self.bodies.read(request) as body:
            try:
                await asyncio.wait_for(self._clip_slot.acquire(), self.settings.timeout)
            except TimeoutError:
                raise RequestError(429, "Too busy: other clips are being decoded", 1) from None
            try:
                sampled = await asyncio.to_thread(sample_clip, body, served.version.info)
            finally:
                self._clip_slot.release()
        return JSONResponse(sampled)

    async def split(self, request: Request) -> Response:
        served = self.find(request.path_params["name"]).find()
        async with self.bodies.read(request) as body:
            tokens = await asyncio.to_thread(_split, body, served.version)
        return JSONResponse({"tokens": [START_MARK, *tokens, END_MARK]})

    async def serving(self, request: Request) -> Response:
        """Answer a request of TensorFlow Serving's REST API."""
        match = _PATH.fullmatch(request.url.path.rstrip("/") or "/")
        method = None if match is None else ("POST" if match["verb"] else "GET")
        if match is None or request.method != method:
            return _malformed(request, 400)
        model = self.find(match["name"])
        request.state.model = model.name
        number = int(match["version"]) if match["version"] else None
        if match["metadata"]:
            served = model.find(number)
            spec = {"name": model.name, "signature_name": "", "version": str(served.version.number)}
            metadata = {"signature_def": served.version.metadata}
            return JSONResponse({"model_spec": spec, "metadata": metadata})
        if not match["verb"]:
            return JSONResponse(_status(model, number))
        if match["verb"].lower() != "predict":
            raise RequestError(501, f"Only predict is served, not {match['verb']}")
        return await self._predict(request, model.find(number))

    async def _predict(self, request: Request, served: Served) -> Response:
        with served.in_use():
            async with self.bodies.read(request) as body:  # its memory counts until the answer
                query = await asyncio.to_thread(rest_json.parse, body, served.version.specs)
                await asyncio.to_thread(check_image_sizes, query.inputs, self.settings.max_pixels)
                request.state.rows = max(
                    (len(array) for array in query.inputs.values() if array.ndim), default=1
                )
                try:
                    async with asyncio.timeout(self.settings.timeout):
                        outputs = await served.batcher.answer(query.signature, query.inputs)
                except TimeoutError:
                    raise RequestError(
                        504, f"Deadline exceeded: no answer within {self.settings.timeout:g} s"
                    ) from None
        check_any_row_valid(query.inputs, outputs)
        text = await asyncio.to_thread(rest_json.answer, outputs, query.rows)
        return Response(text, media_type="application/json")


def _split(body: bytes, version: Version) -> list[str]:
    text = rest_json.document(body).get("text")
    if not isinstance(text, str):
        raise RequestError(400, "Expecting a string as 'text'")
    rest_json.check_text("text", len(text.encode()))
    limit = version.info.get("input", {}).get("max_words")
    return tokenize_with_spaces(text, version.marks)[:limit]


def _status(model: Model, number: int | None) -> dict[str, Any]:
    """Return a model's status in TensorFlow Serving's form."""
    states = {each: ("END", "UNKNOWN", problem) for each, (problem, _) in model.failed.items()}
    if model.served is not None:
        states[model.served.version.number] = ("AVAILABLE", "OK", "")
    chosen = {each: states[each] for each in sorted(states) if number in (None, each)}
    if not chosen:
        reason = "no version is loaded" if number is None else f"there is no version {number}"
        raise RequestError(404, f"Could not find any versions of model {model.name}: {reason}")
    return {
        "model_version_status": [
            {
                "version": str(version),
                "state": state,
                "status": {"error_code": code, "error_message": message},
            }
            for version, (state, code, message) in chosen.items()
        ]
    }
