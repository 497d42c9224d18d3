"""The models of a server: each folder of versions is watched, the newest version is served."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipelines.export.layout import versions
from pipelines.serving.server.batching import Batcher
from pipelines.serving.server.errors import RequestError
from pipelines.serving.server.middleware import Metrics
from pipelines.serving.server.servable import Version
from pipelines.serving.server.settings import Settings

LOG = logging.getLogger("wordreel.server")


class Served:
    """A loaded version with the batcher of its requests."""

    def __init__(self, version: Version, batcher: Batcher) -> None:
        self.version, self.batcher = version, batcher
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the version loaded while a request is read and answered."""
        self._users += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    async def close(self) -> None:
        """Unload the version once no request uses it."""
        await self._unused.wait()
        await self.batcher.close()


class Model:
    """A folder of versions; the newest one that can be loaded is served.

    A version that cannot be loaded is logged and not tried again until its files change. If the
    folder becomes empty, the last version stays.

    Attributes:
        served: None until a version is loaded.
        failed: why other versions cannot be loaded, and the state of their files.
    """

    def __init__(self, name: str, folder: Path, settings: Settings, metrics: Metrics) -> None:
        self.name, self.folder = name, folder
        self.served: Served | None = None
        self.failed: dict[int, tuple[str, object]] = {}
        self._settings, self._metrics = settings, metrics
        self._empty = False
        self._unloading: set[asyncio.Task[None]] = set()

    def find(self, number: int | None = None) -> Served:
        """Return the version that is served; `number`, if given, must be its number.

        Raises:
            RequestError: 404 or, while none is loaded, 503.
        """
        if number is not None and (self.served is None or number != self.served.version.number):
            raise RequestError(
                404, f"Servable not found for request: Specific({self.name}, {number})"
            )
        if self.served is None:
            raise RequestError(
                503, f"Servable not found for request: Latest({self.name}): not loaded", 1
            )
        return self.served

    async def update(self) -> None:
        """Load the newest version that can be loaded, unless it is already served."""
        found = await asyncio.to_thread(versions, self.folder)
        if not found and not self._empty:
            LOG.warning("no version left", extra={"facts": {"model": self.name}})
        self._empty = not found
        self.failed = {number: why for number, why in self.failed.items() if number in found}
        for number in sorted(found, reverse=True):
            if self.served is not None and self.served.version.number == number:
                return
            state = await asyncio.to_thread(_state, found[number])
            if self.failed.get(number, ("", None))[1] == state:
                continue
            try:
                await self._load(number, found[number])
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"[:500]
                self.failed[number] = problem, state
                self._metrics.loads.labels(self.name, "failed").inc()
                facts = {"model": self.name, "version": number, "problem": problem}
                LOG.error("version not loaded", extra={"facts": facts})
            else:
                self.failed.pop(number, None)
                return

    async def _load(self, number: int, folder: Path) -> None:
        version = await asyncio.to_thread(Version, number, folder)
        batcher = Batcher(
            version.run,
            max_rows=self._settings.max_rows,
            max_queue=self._settings.max_queue,
            delay=self._settings.delay,
            observe=self._observe,
        )
        before, self.served = self.served, Served(version, batcher)
        self._metrics.version.labels(self.name).set(number)
        self._metrics.loads.labels(self.name, "loaded").inc()
        self._metrics.queue.labels(self.name).set_function(lambda: batcher.rows)
        LOG.info("version loaded", extra={"facts": {"model": self.name, "version": number}})
        if before is not None:  # it still answers requests that arrived before this moment
            task = asyncio.create_task(_unload(before))
            self._unloading.add(task)
            task.add_done_callback(self._unloading.discard)

    def _observe(self, requests: int, rows: int) -> None:
        self._metrics.batch_requests.labels(self.name).observe(requests)
        self._metrics.batch_rows.labels(self.name).observe(rows)

    async def close(self) -> None:
        """Answer waiting requests, then unload all versions."""
        if self.served is not None:
            await self.served.close()
        await asyncio.gather(*self._unloading)


async def watch(models: Iterable[Model], seconds: float) -> None:
    """Load new versions until cancelled; `seconds` lie between two checks."""
    while True:
        for model in models:
            try:
                await model.update()
            except Exception as error:  # for example files deleted during the check
                facts = {"model": model.name, "problem": repr(error)}
                LOG.warning("cannot check for versions", extra={"facts": facts})
        await asyncio.sleep(seconds)


async def _unload(served: Served) -> None:
    """Unload a version once its requests are answered, and free its memory."""
    await served.close()
    del served
    gc.collect()  # its graphs refer to each other; without this they stay for an unknown time


def _state(folder: Path) -> object:
    """Return a value that changes with the files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files]
