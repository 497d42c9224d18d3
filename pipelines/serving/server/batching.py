"""Dynamic batching: requests that wait at the same time are run as one batch."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from pipelines.serving.server.errors import RequestError

MAX_FRAMES = 512  # of all clips in a batch, decoded and encoded at once
Arrays = Mapping[str, np.ndarray]
Run = Callable[[str, Arrays], dict[str, np.ndarray]]


class _Waiting(NamedTuple):
    key: Hashable  # requests with the same key can share a batch
    signature: str
    inputs: Arrays
    rows: int
    frames: int  # of all its clips; for other inputs, the rows
    answer: asyncio.Future[dict[str, np.ndarray]]


class Batcher:
    """Runs the requests to one version of a model, in order of arrival, a batch at a time.

    A request waits `delay` seconds for others, and longer while more arrive, until a batch is full:
    the clients of a finished batch send their next requests one by one. Requests with the same
    signature and the same shapes, except for the rows, share a batch.

    Attributes:
        rows: waiting.
    """

    def __init__(
        self,
        run: Run,
        *,
        max_rows: int,
        max_queue: int,
        delay: float,
        observe: Callable[[int, int], None] = lambda requests, rows: None,
    ) -> None:
        """Set the limits.

        Args:
            run: computes the outputs of (signature, inputs), in a thread, one call at a time.
            max_rows: of a batch, and of a request.
            max_queue: rows that may wait.
            delay: seconds.
            observe: receives the number of requests and of rows of each batch.
        """
        self.rows = 0
        self._model, self._thread, self._observe = run, ThreadPoolExecutor(1), observe
        self._max_rows, self._max_queue, self._delay = max_rows, max_queue, delay
        self._max_frames = max(MAX_FRAMES, max_rows)
        self._queue: deque[_Waiting] = deque()
        self._worker: asyncio.Task[None] | None = None  # runs while requests wait
        self._pace = 0.05  # seconds per row, smoothed

    async def answer(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        """Return the outputs for a request; all its arrays but scalars have the same rows.

        Raises:
            RequestError: 429 if too many rows wait, 400 for too many rows or invalid values.
        """
        rows = next((len(array) for array in inputs.values() if array.ndim), 1)
        frames = max(math.prod(array.shape[:2]) for array in inputs.values())
        if not rows:
            raise RequestError(400, "The request has no rows")
        for name, count, limit in (
            ("rows", rows, self._max_rows),
            ("frames", frames, self._max_frames),
        ):
            if count > limit:
                raise RequestError(400, f"The request has {count:,} {name}, the limit is {limit}")
        if self.rows and self.rows + rows > self._max_queue:
            wait = max(1, math.ceil(self.rows * self._pace))
            raise RequestError(
                429, f"Too busy: {self.rows} rows are waiting; try again in {wait} s", wait
            )
        scalars = ((k, v.tobytes()) for k, v in inputs.items() if not v.ndim)
        shapes = ((k, v.shape[1:]) for k, v in inputs.items() if v.ndim)
        key = (signature, tuple(sorted(scalars)), tuple(sorted(shapes)))
        future = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(key, signature, inputs, rows, frames, future))
        self.rows += rows
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def close(self) -> None:
        """Run what waits, then stop."""
        if self._worker is not None:
            await self._worker
        self._thread.shutdown(wait=False)

    async def _work(self) -> None:
        while self._queue:
            before = 0
            while self._delay and before < self.rows < self._max_rows:  # while more arrive
                before = self.rows
                await asyncio.sleep(self._delay)
            if batch := self._take():
                await self._run(batch)

    def _take(self) -> list[_Waiting]:
        """Take from the queue the first request and those with its key, up to a full batch."""
        batch: list[_Waiting] = []
        rest: deque[_Waiting] = deque()
        rows = frames = 0
        for each in self._queue:
            fits = rows + each.rows <= self._max_rows
            fits &= frames + each.frames <= self._max_frames
            if each.answer.done():  # its client has disconnected or timed out
                self.rows -= each.rows
            elif not batch or (each.key == batch[0].key and fits):
                batch.append(each)
                rows += each.rows
                frames += each.frames
            else:
                rest.append(each)
        self._queue = rest
        self.rows -= rows
        return batch

    async def _run(self, batch: list[_Waiting]) -> None:
        """Run a batch; an error is the answer to its request and affects no other."""
        try:
            for each, outputs in zip(batch, await self._outputs(batch), strict=True):
                if not each.answer.done():  # its client has disconnected or timed out
                    each.answer.set_result(outputs)
        except Exception as error:
            if len(batch) > 1:  # one request may be the cause: run each alone
                for each in batch:
                    await self._run([each])
            elif not batch[0].answer.done():
                batch[0].answer.set_exception(error)

    async def _outputs(self, batch: list[_Waiting]) -> list[dict[str, np.ndarray]]:
        """Run the model on all rows of a batch; return the outputs of each request."""
        rows = sum(each.rows for each in batch)
        self._observe(len(batch), rows)
        first, start = batch[0], time.monotonic()
        inputs = {
            name: np.concatenate([each.inputs[name] for each in batch]) if array.ndim else array
            for name, array in first.inputs.items()
        }
        loop = asyncio.get_running_loop()
        outputs = await loop.run_in_executor(self._thread, self._model, first.signature, inputs)
        self._pace += 0.2 * ((time.monotonic() - start) / rows - self._pace)
        ends = np.cumsum([each.rows for each in batch])
        return [
            {name: array[end - each.rows : end] for name, array in outputs.items()}
            for each, end in zip(batch, ends, strict=True)
        ]
