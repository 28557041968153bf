# SPDX-License-Identifier: Apache-2.0
"""Publish or pull, and be killed at a step: each line ``KILL_AT JOB ADDRESS PATH`` is done by a fork of this process.

A step is a request to the store, before and after it, and whatever is asked of the file system. Answers ``killed``,
``done STEPS`` or ``failed`` per line.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from pathlib import Path

import obstore

from tfs_deploy.store.places import directory, objects, pull, upload  # noqa: F401 - imported once, for all forks
from tfs_deploy.store.places.opened import open_place


def main() -> None:
    for line in sys.stdin:
        kill_at, job, address, path = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            try:
                work(int(kill_at), job, address, Path(path))
            except BaseException:  # noqa: BLE001 - told to the test
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            print("killed", flush=True)
        elif status:
            print("failed", flush=True)


def work(kill_at: int, job: str, address: str, path: Path) -> None:
    steps = 0
    lock = threading.RLock()  # a kill asks the system, too

    def step() -> None:
        nonlocal steps
        with lock:
            steps += 1
            if steps == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def counted(request):
        def call(*given, **more):
            step()
            try:
                return request(*given, **more)
            finally:
                step()

        return call

    def hook(event: str, _: object) -> None:
        if event.split(".", 1)[0] in ("open", "os", "shutil", "fcntl", "ctypes"):
            step()

    for name in ("put", "get", "list", "delete", "list_with_delimiter"):
        setattr(obstore, name, counted(getattr(obstore, name)))
    place = open_place(address)
    sys.addaudithook(hook)
    if job == "publish":
        place.publish(path)
    else:
        pull.pull_version(place, None, path)
    print(f"done {steps}", flush=True)


main()
