"""``predict_many``: batches under way at the same time, answers in order, bounded memory."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from tfs_deploy.client.core.batching import BLAMED_ON_INPUT, Batch, Prediction, batches, check_sizes
from tfs_deploy.errors import TfsDeployError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tfs_deploy.codec import PredictReply

#: is given the number of examples that are done, and of those the failed ones
Progress: TypeAlias = Callable[[int, int], None]


class _Count:
    """Tells the progress callback how far it is."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = self._failed = 0

    def add(self, predictions: list[Prediction]) -> None:
        self._done += len(predictions)
        self._failed += sum(prediction.error is not None for prediction in predictions)
        if self._progress is not None:
            self._progress(self._done, self._failed)


def predict_many(
    ask: Callable[[dict[str, Any]], PredictReply],
    examples: Iterable[Mapping[str, Any]],
    *,
    batch_size: int,
    concurrency: int,
    progress: Progress | None,
) -> Iterator[Prediction]:
    """Yield the prediction of each example, in order; at most ``concurrency`` batches are in memory beside it."""
    check_sizes(batch_size, concurrency)
    return _predict_many(ask, batches(examples, batch_size), concurrency, _Count(progress))


def _predict_many(
    ask: Callable[[dict[str, Any]], PredictReply], waiting: Iterator[Batch], concurrency: int, count: _Count
) -> Iterator[Prediction]:
    under_way: collections.deque[concurrent.futures.Future[list[Prediction]]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(concurrency, thread_name_prefix="predict_many") as pool:
        try:
            for batch in waiting:
                under_way.append(pool.submit(_ask, ask, batch))
                if len(under_way) >= concurrency:
                    found = under_way.popleft().result()
                    count.add(found)
                    yield from found
            while under_way:
                found = under_way.popleft().result()
                count.add(found)
                yield from found
        finally:
            # the consumer has stopped, or an example could not be read: what has not begun need not
            for future in under_way:
                future.cancel()


def _ask(ask: Callable[[dict[str, Any]], PredictReply], batch: Batch) -> list[Prediction]:
    try:
        return batch.answered(ask(batch.stacked()))
    except BLAMED_ON_INPUT as error:
        if len(batch.examples) == 1:
            return batch.failed(error)
    except TfsDeployError as error:
        return batch.failed(error)
    return [prediction for half in batch.halves() for prediction in _ask(ask, half)]


async def predict_many_async(
    ask: Callable[[dict[str, Any]], Awaitable[PredictReply]],
    examples: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
    *,
    batch_size: int,
    concurrency: int,
    progress: Progress | None,
) -> AsyncIterator[Prediction]:
    """Yield as ``predict_many`` does; examples may come from an asynchronous iterable."""
    check_sizes(batch_size, concurrency)
    count = _Count(progress)
    under_way: collections.deque[asyncio.Task[list[Prediction]]] = collections.deque()
    try:
        async for batch in _batches(examples, batch_size):
            under_way.append(asyncio.ensure_future(_ask_async(ask, batch)))
            if len(under_way) >= concurrency:
                found = await under_way[0]
                under_way.popleft()
                count.add(found)
                for prediction in found:
                    yield prediction
        while under_way:
            found = await under_way[0]
            under_way.popleft()
            count.add(found)
            for prediction in found:
                yield prediction
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


async def _batches(
    examples: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]], size: int
) -> AsyncIterator[Batch]:
    if not isinstance(examples, AsyncIterable):
        for batch in batches(examples, size):
            yield batch
        return
    start = 0
    collected: list[Mapping[str, Any]] = []
    async for example in examples:
        collected.append(example)
        if len(collected) == size:
            yield Batch(start, collected)
            start, collected = start + size, []
    if collected:
        yield Batch(start, collected)


async def _ask_async(ask: Callable[[dict[str, Any]], Awaitable[PredictReply]], batch: Batch) -> list[Prediction]:
    try:
        return batch.answered(await ask(batch.stacked()))
    except BLAMED_ON_INPUT as error:
        if len(batch.examples) == 1:
            return batch.failed(error)
    except TfsDeployError as error:
        return batch.failed(error)
    return [prediction for half in batch.halves() for prediction in await _ask_async(ask, half)]
