"""Dynamic batching: requests that wait at the same time are answered together."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Executor
from typing import Any, NamedTuple

import numpy as np

from pipelines.serving.server.errors import RequestError

MAX_FRAMES = 512  # of all clips in a batch, decoded and encoded at once
Arrays = Mapping[str, np.ndarray]
Ask = Callable[[str, Arrays], dict[str, np.ndarray]]


class _Waiting(NamedTuple):
    key: Hashable  # those of the same key can share a batch
    signature: str
    inputs: Arrays
    rows: int
    frames: int  # of all its clips; of what is no clip, the rows
    answer: asyncio.Future[dict[str, np.ndarray]]


class Batcher:
    """Answers for one version of a model, in the order of arrival, a batch at a time.

    A request waits `delay` for company, and on while more keep coming, until a batch is full. What
    has arrived is answered together with what is like it: the same signature, the same sides but
    for the rows. When a batch was answered, its clients ask again one after the other: the first of
    them would else be answered alone, and all the others wait for it.

    Attributes:
        rows: that wait.
    """

    def __init__(
        self,
        ask: Ask,
        executor: Executor,
        *,
        max_rows: int,
        max_queue: int,
        delay: float,
        observe: Callable[[int, int], None] = lambda requests, rows: None,
    ) -> None:
        """Start answering; needs a running event loop.

        Args:
            ask: answers (signature, inputs); called in `executor`, once at a time.
            executor: of at least one thread.
            max_rows: of a batch, and of a request.
            max_queue: rows that may wait.
            delay: seconds.
            observe: told the requests and rows of each batch.
        """
        self.rows = 0
        self._ask, self._executor, self._observe = ask, executor, observe
        self._max_rows, self._max_queue, self._delay = max_rows, max_queue, delay
        self._max_frames = max(MAX_FRAMES, max_rows)
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._pace = 0.05  # seconds a row, smoothed
        self._worker = asyncio.create_task(self._work())

    async def answer(self, signature: str, inputs: Arrays) -> dict[str, np.ndarray]:
        """Return the answer to a request whose arrays have the same number of rows, but scalars.

        Raises:
            RequestError: 429 if too many rows wait, and whatever the model says.
        """
        rows = next((len(array) for array in inputs.values() if array.ndim), 1)
        if not rows:
            raise RequestError(400, "The request has no rows")
        if rows > self._max_rows:
            raise RequestError(
                400, f"The request has {rows:,} rows, at most {self._max_rows} are taken at once"
            )
        frames = max(math.prod(array.shape[:2]) for array in inputs.values())
        if frames > self._max_frames:
            raise RequestError(
                400,
                f"The request has {frames:,} frames, at most {self._max_frames} are taken at once",
            )
        if self.rows and self.rows + rows > self._max_queue:
            wait = max(1, math.ceil(self.rows * self._pace))
            raise RequestError(
                429, f"Too busy: {self.rows} rows are waiting; try again in {wait} s", wait
            )
        scalars = ((k, v.tobytes()) for k, v in inputs.items() if not v.ndim)
        sides = ((k, v.shape[1:]) for k, v in inputs.items() if v.ndim)
        key = (signature, tuple(sorted(scalars)), tuple(sorted(sides)))
        future = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(key, signature, inputs, rows, frames, future))
        self.rows += rows
        self._arrived.set()
        return await future

    async def close(self) -> None:
        """Answer what waits, then stop."""
        self._closing = True
        self._arrived.set()
        await self._worker

    async def _work(self) -> None:
        while True:
            while not self._queue:
                if self._closing:
                    return
                self._arrived.clear()
                await self._arrived.wait()
            seen = 0
            while self._delay and seen < self.rows < self._max_rows:  # as long as more have come
                seen = self.rows
                await asyncio.sleep(self._delay)
            batch = self._take()
            if batch:
                await self._run(batch)

    def _take(self) -> list[_Waiting]:
        """Take from the queue the first request and those like it, up to a full batch."""
        batch: list[_Waiting] = []
        rest: deque[_Waiting] = deque()
        rows = frames = 0
        for each in self._queue:
            fits = rows + each.rows <= self._max_rows
            fits &= frames + each.frames <= self._max_frames
            if each.answer.done():  # nobody waits for it any more
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
        """Answer a batch; whatever goes wrong is told to those who wait, and ends nothing else."""
        try:
            for each, found in zip(batch, await self._answers(batch), strict=True):
                _settle(each, found)
        except Exception as error:
            if len(batch) == 1:
                _settle(batch[0], error=error)
            else:  # one of them may be to blame: the others shall not suffer
                for each in batch:
                    await self._run([each])

    async def _answers(self, batch: list[_Waiting]) -> list[dict[str, np.ndarray]]:
        """Ask the model about all rows of a batch; return those of each."""
        rows = sum(each.rows for each in batch)
        self._observe(len(batch), rows)
        first, start = batch[0], time.monotonic()
        together = {
            name: np.concatenate([each.inputs[name] for each in batch]) if array.ndim else array
            for name, array in first.inputs.items()
        }
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._executor, self._ask, first.signature, together)
        self._pace += 0.2 * ((time.monotonic() - start) / rows - self._pace)
        ends = np.cumsum([each.rows for each in batch])
        return [
            {name: array[end - each.rows : end] for name, array in found.items()}
            for each, end in zip(batch, ends, strict=True)
        ]


def _settle(
    waiting: _Waiting, found: dict[str, np.ndarray] | None = None, error: Any = None
) -> None:
    """Give an answer to whoever still waits for it."""
    with contextlib.suppress(asyncio.InvalidStateError):
        if error is None:
            waiting.answer.set_result(found or {})
        else:
            waiting.answer.set_exception(error)
