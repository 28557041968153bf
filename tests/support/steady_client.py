# SPDX-License-Identifier: Apache-2.0
"""A client that does nothing wrong, in a process of its own: what it waits is the server's doing, not the test's."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from support.forked_command import ForkedProcess
from tfs_deploy.client import Client, RestClient

_EVERY = 0.04


@dataclass
class SteadyClient:
    """A running client; ``waits`` has (when a call began, on the clock of ``time.monotonic``; its seconds)."""

    _process: ForkedProcess
    _out: Path
    _err: Path

    def waits(self) -> list[tuple[float, float]]:
        """Return the calls so far; all of them went well, or this raises."""
        assert self._process.poll() is None, self._err.read_text()[-3000:]
        lines = self._out.read_text().splitlines()[:-1]  # the last one may be half written
        return [(float(begun), float(seconds)) for begun, seconds in (line.split() for line in lines)]


@contextmanager
def steady_client(folder: Path, grpc_address: str, rest_url: str) -> Iterator[SteadyClient]:
    """Run a client that asks half_plus_two over gRPC and REST in turn, until the block ends."""
    out, err = folder / "steady.txt", folder / "steady.err"
    with out.open("wb") as output, err.open("wb") as errors:
        arguments = [grpc_address, rest_url]
        home = Path(__file__).parents[1]
        process = ForkedProcess("support.steady_client", arguments, (output, errors), cwd=home)
    try:
        yield SteadyClient(process, out, err)
    finally:
        process.kill()


def main() -> int:
    """Call for ever, and print what each call took; a wrong answer ends it."""
    grpc_address, rest_url = sys.argv[1:]
    inputs, pause = {"x": np.float32([[4.0]])}, threading.Event()
    with Client(grpc_address, timeout=60) as over_grpc, RestClient(rest_url, timeout=60) as over_rest:
        for client in (over_grpc, over_rest):
            client.predict("half_plus_two", inputs)
        number = 0
        while not pause.wait(_EVERY):
            client = (over_grpc, over_rest)[number % 2]
            number += 1
            begun = time.monotonic()
            assert client.predict("half_plus_two", inputs)["y"] == 4.0
            print(begun, time.monotonic() - begun, flush=True)
    return 0
