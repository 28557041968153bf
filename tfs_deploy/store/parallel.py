# SPDX-License-Identifier: Apache-2.0
"""Moving many files at once: a fixed number of threads, no more begun after the first failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")
#: each holds some MB: this many keep memory below 200 MB
THREADS: Final = 8


def in_parallel(function: Callable[[T], object], items: Iterable[T]) -> None:
    """Call a function with each item, in threads; raises the first failure, when the calls under way have ended.

    An item is taken when a thread is free for it, so a hundred thousand cost no more memory than their iterable.
    """
    left, lock, over = iter(items), threading.Lock(), threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not over.is_set():
                with lock:
                    taken = list(islice(left, 1))
                if not taken:
                    return
                function(taken[0])
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread of the caller
            failures.append(error)
            over.set()

    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="tfs-deploy-store")
    try:
        wait([pool.submit(work) for _ in range(THREADS)])
    finally:
        over.set()
        pool.shutdown(wait=True)
    if failures:
        raise failures[0]
