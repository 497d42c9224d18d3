"""Dynamic batching: shared batches, each request's own rows, a bounded queue."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from pipelines.serving.server.batching import Batcher
from pipelines.serving.server.errors import RequestError


class Doubler:
    """A model that doubles numbers, refuses 13, and can be paused."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.batches: list[tuple[str, int]] = []

    def __call__(self, signature: str, inputs: Any) -> dict[str, np.ndarray]:
        assert self.go.wait(10)
        self.batches.append((signature, len(inputs["x"])))
        if (inputs["x"] == 13).any():
            raise RequestError(400, "13 is refused")
        return {"y": 2 * inputs["x"]}


def serve(
    work: Callable[[Batcher, Doubler], Awaitable[None]], max_queue: int = 100, delay: float = 0.0
) -> Doubler:
    """Run `work` with a batcher of at most 4 rows; return its model."""
    model = Doubler()

    async def main() -> None:
        batcher = Batcher(model, max_rows=4, max_queue=max_queue, delay=delay)
        await work(batcher, model)
        await batcher.close()
        assert batcher.rows == 0

    asyncio.run(main())
    return model


def x(*values: float) -> dict[str, np.ndarray]:
    return {"x": np.array(values)}


def test_each_request_gets_its_own_rows_of_a_shared_batch() -> None:
    async def work(batcher: Batcher, model: Doubler) -> None:
        model.go.clear()
        asked = []
        for n, rows in ((0, 1), (10, 1), (20, 2), (30, 1), (40, 4)):
            asked.append(asyncio.create_task(batcher.answer("double", x(*range(n, n + rows)))))
            await asyncio.sleep(0.05)
        model.go.set()
        found = [(await each)["y"].tolist() for each in asked]
        assert found == [[0], [20], [40, 42], [60], [80, 82, 84, 86]]

    assert serve(work).batches == [("double", 1), ("double", 4), ("double", 4)]


def test_the_first_request_waits_for_others() -> None:
    async def work(batcher: Batcher, model: Doubler) -> None:
        found = await asyncio.gather(*(batcher.answer("double", x(n)) for n in range(3)))
        assert [each["y"].tolist() for each in found] == [[0], [2], [4]]

    assert serve(work, delay=0.01).batches == [("double", 3)]


def test_the_wait_continues_while_requests_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another request arrives in each of the first two delays, none in the third."""
    sleep, asked = asyncio.sleep, list[asyncio.Task[Any]]()

    async def work(batcher: Batcher, model: Doubler) -> None:
        def ask() -> None:
            asked.append(asyncio.create_task(batcher.answer("double", x(len(asked)))))

        async def slept(seconds: float) -> None:
            if len(asked) < 3:
                ask()
            await sleep(0)

        monkeypatch.setattr(asyncio, "sleep", slept)
        ask()
        await asked[0]
        assert [(await each)["y"].tolist() for each in asked] == [[0], [2], [4]]

    assert serve(work, delay=0.01).batches == [("double", 3)]


def test_requests_of_other_shapes_or_signatures_do_not_share_a_batch() -> None:
    async def work(batcher: Batcher, model: Doubler) -> None:
        wide = {"x": np.ones([1, 2])}
        hot = {"x": np.ones(1), "heat": np.array(2.0)}
        model.go.clear()
        asked = [
            asyncio.create_task(batcher.answer(*each))
            for each in (
                ("a", x(0)),
                ("a", x(1)),
                ("b", x(1)),
                ("a", wide),
                ("a", hot),
                ("a", x(2)),
            )
        ]
        await asyncio.sleep(0.05)
        model.go.set()
        await asyncio.gather(*asked)

    assert sorted(serve(work).batches) == [("a", 1), ("a", 1), ("a", 3), ("b", 1)]


def test_a_refused_request_does_not_affect_its_batch() -> None:
    async def work(batcher: Batcher, model: Doubler) -> None:
        asked = [batcher.answer("double", x(n)) for n in (1, 13, 3)]
        first, bad, last = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(bad, RequestError)
        assert isinstance(first, dict) and first["y"].tolist() == [2]
        assert isinstance(last, dict) and last["y"].tolist() == [6]

    serve(work, delay=0.01)


def test_a_full_queue_refuses_with_a_retry_time() -> None:
    async def work(batcher: Batcher, model: Doubler) -> None:
        model.go.clear()
        asked = [asyncio.create_task(batcher.answer("double", x(0)))]
        await asyncio.sleep(0.05)
        asked += [asyncio.create_task(batcher.answer("double", x(n))) for n in range(8)]
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError, match="8 rows are waiting") as caught:
            await batcher.answer("double", x(0))
        assert caught.value.status == 429
        assert int(caught.value.headers["Retry-After"]) >= 1
        model.go.set()
        assert len(await asyncio.gather(*asked)) == 9

    serve(work, max_queue=8)


def test_a_cancelled_request_is_not_run() -> None:
    async def work(batcher: Batcher, model: Doubler) -> None:
        model.go.clear()
        other = asyncio.create_task(batcher.answer("double", x(1)))
        await asyncio.sleep(0.05)
        left = asyncio.create_task(batcher.answer("double", x(2)))
        await asyncio.sleep(0.05)
        left.cancel()
        model.go.set()
        assert (await other)["y"].tolist() == [2]
        with pytest.raises(asyncio.CancelledError):
            await left

    assert serve(work).batches == [("double", 1)]


def test_clips_share_a_batch_by_their_frames() -> None:
    async def work(batcher: Batcher, model: Doubler) -> None:
        def clips(rows: int, frames: int) -> dict[str, np.ndarray]:
            return {"x": np.full([rows, frames], "", object)}

        model.go.clear()
        asked = [asyncio.create_task(batcher.answer("a", clips(1, 200))) for _ in range(4)]
        await asyncio.sleep(0.05)
        with pytest.raises(RequestError, match="1,026 frames, the limit is 512"):
            await batcher.answer("a", clips(2, 513))
        model.go.set()
        await asyncio.gather(*asked)

    assert serve(work, delay=0.01).batches == [("a", 2), ("a", 2)]


def test_decoded_clips_count_by_their_frames() -> None:
    async def work(batcher: Batcher, model: Doubler) -> None:
        with pytest.raises(RequestError, match="513 frames, the limit is 512"):
            await batcher.answer("a", {"x": np.zeros([1, 513, 1, 1, 3], np.uint8)})

    serve(work)


def test_an_error_does_not_affect_the_next_request() -> None:
    async def work(batcher: Batcher, model: Doubler) -> None:
        with pytest.raises(RequestError, match="no rows"):
            await batcher.answer("double", x())
        batcher._model = lambda signature, inputs: {"y": np.array(7)}  # an output without rows
        asked = [batcher.answer("double", x(n)) for n in range(2)]
        for found in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(found, IndexError)
        batcher._model = model
        assert (await batcher.answer("double", x(1)))["y"].tolist() == [2]

    serve(work)


def test_a_request_larger_than_a_batch_is_refused() -> None:
    async def work(batcher: Batcher, model: Doubler) -> None:
        with pytest.raises(RequestError, match="5 rows, the limit is 4"):
            await batcher.answer("double", x(*range(5)))

    serve(work)
