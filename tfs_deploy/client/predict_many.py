# SPDX-License-Identifier: Apache-2.0
"""``predict_many``: concurrent batches, predictions in order, bounded memory."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from tfs_deploy.client.core.batching import INPUT_ERRORS, Batch, Prediction, batches, check_sizes
from tfs_deploy.errors import TfsDeployError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tfs_deploy.codec import PredictReply

#: called with the number of finished examples, and how many of them failed
Progress: TypeAlias = Callable[[int, int], None]


class _ProgressCounter:
    """Counts finished and failed examples for the progress callback."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = self._failed = 0

    def add(self, predictions: list[Prediction]) -> None:
        self._done += len(predictions)
        self._failed += sum(prediction.error is not None for prediction in predictions)
        if self._progress is not None:
            self._progress(self._done, self._failed)


def predict_many(
    predict: Callable[[dict[str, Any]], PredictReply],
    examples: Iterable[Mapping[str, Any]],
    *,
    batch_size: int,
    concurrency: int,
    progress: Progress | None,
) -> Iterator[Prediction]:
    """Yield the prediction for each example, in order; at most ``concurrency`` batches are in memory."""
    check_sizes(batch_size, concurrency)
    return _predict_many(predict, batches(examples, batch_size), concurrency, _ProgressCounter(progress))


def _predict_many(
    predict: Callable[[dict[str, Any]], PredictReply],
    waiting: Iterator[Batch],
    concurrency: int,
    counter: _ProgressCounter,
) -> Iterator[Prediction]:
    pending: collections.deque[concurrent.futures.Future[list[Prediction]]] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(concurrency, thread_name_prefix="predict_many") as pool:
        try:
            for batch in waiting:
                pending.append(pool.submit(_predict_batch, predict, batch))
                if len(pending) >= concurrency:
                    found = pending.popleft().result()
                    counter.add(found)
                    yield from found
            while pending:
                found = pending.popleft().result()
                counter.add(found)
                yield from found
        finally:
            # the consumer has stopped, or reading an example failed: do not start the rest
            for future in pending:
                future.cancel()


def _predict_batch(predict: Callable[[dict[str, Any]], PredictReply], batch: Batch) -> list[Prediction]:
    try:
        return batch.predictions(predict(batch.stacked()))
    except INPUT_ERRORS as error:
        if len(batch.examples) == 1:
            return batch.failed(error)
    except TfsDeployError as error:
        return batch.failed(error)
    return [prediction for half in batch.halves() for prediction in _predict_batch(predict, half)]


async def predict_many_async(
    predict: Callable[[dict[str, Any]], Awaitable[PredictReply]],
    examples: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
    *,
    batch_size: int,
    concurrency: int,
    progress: Progress | None,
) -> AsyncIterator[Prediction]:
    """Yield as ``predict_many`` does; the examples may be an asynchronous iterable."""
    check_sizes(batch_size, concurrency)
    counter = _ProgressCounter(progress)
    pending: collections.deque[asyncio.Task[list[Prediction]]] = collections.deque()
    try:
        async for batch in _batches(examples, batch_size):
            pending.append(asyncio.ensure_future(_predict_batch_async(predict, batch)))
            if len(pending) >= concurrency:
                found = await pending[0]
                pending.popleft()
                counter.add(found)
                for prediction in found:
                    yield prediction
        while pending:
            found = await pending[0]
            pending.popleft()
            counter.add(found)
            for prediction in found:
                yield prediction
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


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


async def _predict_batch_async(
    predict: Callable[[dict[str, Any]], Awaitable[PredictReply]], batch: Batch
) -> list[Prediction]:
    try:
        return batch.predictions(await predict(batch.stacked()))
    except INPUT_ERRORS as error:
        if len(batch.examples) == 1:
            return batch.failed(error)
    except TfsDeployError as error:
        return batch.failed(error)
    return [prediction for half in batch.halves() for prediction in await _predict_batch_async(predict, half)]
