# SPDX-License-Identifier: Apache-2.0
"""Hundreds of thousands of calls: memory stays flat, no descriptor and no thread is left behind.

Run: python tests/bench/endurance.py [--calls 500000] [--threads 4]       (a table; exits 1 when a limit is missed)

So many calls are made by ``Client`` from threads, and as many by ``AsyncClient``, a million together, against a server
of a Python function in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from client_peers import server

from tfs_deploy.client import AsyncClient, Client

ROUNDS = 10
X = {"x": np.arange(10, dtype=np.float32)}
#: megabytes; a leak of 40 bytes a call would be 20 MB in half a million calls
GROWTH = 4.0
WHAT = ("megabytes", "descriptors", "threads")


def state() -> tuple[float, int, int]:
    """Megabytes, open descriptors, threads of the operating system."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    descriptors, threads = (len(list(Path("/proc/self", name).iterdir())) for name in ("fd", "task"))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, descriptors, threads


def verdict(holds: bool) -> str:
    return "yes" if holds else "MISSED"


def blocking(address: str, calls: int, threads: int) -> Callable[[], None]:
    client = Client(address, timeout=60)

    def work() -> None:
        for _ in range(calls // threads):
            assert client.predict("floats", X)["y"][9] == 9

    def run() -> None:
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not client.stats().failed

    return run


def awaited(address: str, calls: int, tasks: int = 32) -> Callable[[], None]:
    loop = asyncio.new_event_loop()
    client = AsyncClient(address, timeout=60)

    async def work() -> None:
        for _ in range(calls // tasks):
            assert (await client.predict("floats", X))["y"][9] == 9

    async def together() -> None:
        await asyncio.gather(*(work() for _ in range(tasks)))

    def run() -> None:
        loop.run_until_complete(together())
        assert not client.stats().failed

    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500_000, help="of each client")
    parser.add_argument("--threads", type=int, default=4)
    arguments = parser.parse_args()
    each = arguments.calls // ROUNDS
    missed = False
    with server() as (address, _):
        for name, run in (
            ("Client", blocking(address, each, arguments.threads)),
            ("AsyncClient", awaited(address, each)),
        ):
            started = time.monotonic()
            # what grows once, such as pools and caches, has grown in the first round
            run()
            before = state()
            for _ in range(ROUNDS - 1):
                run()
            after = state()
            seconds = time.monotonic() - started
            print(f"{name}: {each * ROUNDS} calls in {seconds:.0f} s, {each * ROUNDS / seconds:.0f} a second")
            for what, first, last, more in zip(WHAT, before, after, (GROWTH, 0, 0), strict=True):
                missed |= last > first + more
                print(
                    f"  {what:<12} {first:8.1f} -> {last:8.1f}   at most + {more:g}   {verdict(last <= first + more)}"
                )
            sys.stdout.flush()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
