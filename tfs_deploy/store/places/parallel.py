# SPDX-License-Identifier: Apache-2.0
"""Moving many files at once: a fixed number of threads, no more begun after the first failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Final, TypeVar

T = TypeVar("T")
#: each holds some MB: this many keep memory below 200 MB
THREADS: Final = 8


def in_parallel(function: Callable[[T], None], items: Iterable[T]) -> None:
    """Call a function with each item, in threads; raises the first failure, when the calls under way have ended."""
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="tfs-deploy-store")
    try:
        begun = [pool.submit(function, item) for item in items]
        done, _ = wait(begun, return_when=FIRST_EXCEPTION)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    for future in begun:
        if future in done:
            future.result()
