# SPDX-License-Identifier: Apache-2.0
"""What a publish and a pull cost beside obstore alone, which writes and reads the same objects without a check.

Run: python tests/bench/store_rates.py [--files 64] [--megabytes 1024] [--rounds 5] [--network 125]
     (prints a table; exits 1 when a limit is missed)

Each round runs the jobs in turn, each in a process of its own with as many threads, against SeaweedFS on this machine.
obstore alone puts the files by their path, and reads each object into a file that is not synced, with its defaults; in
the last line it hashes what it reads. A ratio is the median of those of the rounds: rates drift with the machine.

The store takes its share of the same processors. ``--network`` puts a wire of so many MB/s between the two: as
where the store is elsewhere, the processors then have time to hash what obstore alone does not look at.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

RATIO, MEGABYTES = 0.9, 200
THREADS = 8
HASHED = "get and hash"


def job(name: str, address: str, folder: Path) -> None:
    """Do one job and print its seconds and the most memory of this process in MB."""
    began = time.perf_counter()
    if name in ("publish", "pull"):
        began = with_the_package(name, address, folder)
    else:
        began = with_obstore_alone(name, address, folder)
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status").read_text()
    memory = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024  # ru_maxrss would be that of the parent
    print(json.dumps([seconds, memory]))


def with_the_package(name: str, address: str, folder: Path) -> float:
    from tfs_deploy.store.places.opened import open_place
    from tfs_deploy.store.places.pull import pull_version

    place = open_place(address)
    place.versions()
    began = time.perf_counter()
    if name == "publish":
        place.publish(folder, 1)
    else:
        pull_version(place, 1, folder)
    return began


def with_obstore_alone(name: str, address: str, folder: Path) -> float:
    import obstore
    from obstore.store import S3Store

    from tfs_deploy.store.places.upload import CHUNK

    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    store = S3Store(bucket, client_options={"allow_http": True, "pool_max_idle_per_host": "32"})
    keys = [meta["path"] for page in obstore.list(store, f"{prefix}/") for meta in page]

    def put(path: Path) -> None:
        obstore.put(store, f"{prefix}/{path.relative_to(folder).as_posix()}", path)

    def get(key: str) -> None:
        body = obstore.get(store, key)
        with (folder / key.replace("/", "_")).open("xb") as file:
            digest = hashlib.sha256()
            for chunk in body if name == "get" else body.stream(min_chunk_size=CHUNK):
                file.write(chunk)
                if name == HASHED:
                    digest.update(chunk)

    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        if name == "put":
            list(pool.map(put, [path for path in folder.rglob("*") if path.is_file()]))
        else:
            folder.mkdir(parents=True)
            list(pool.map(get, keys))
    return began


def measure(name: str, address: str, folder: Path) -> tuple[float, int]:
    command = [sys.executable, __file__, "--job", name, address, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr[-2000:]}")
    seconds, memory = json.loads(done.stdout)
    return seconds, memory


class Wire:
    """Hands bytes on to a port of this machine, at most ``rate`` bytes a second each way."""

    def __init__(self, target: int, rate: float) -> None:
        self._target, self._rate, self._lock = target, rate, threading.Lock()
        self._free = {True: 0.0, False: 0.0}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            far = socket.create_connection(("127.0.0.1", self._target))
            for source, sink, back in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pump, args=(source, sink, back), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        buffer = memoryview(bytearray(1 << 18))
        with contextlib.suppress(OSError):
            while count := source.recv_into(buffer):
                with self._lock:
                    free = max(self._free[back], time.monotonic()) + count / self._rate
                    self._free[back] = free
                time.sleep(max(0.0, free - time.monotonic()))
                sink.sendall(buffer[:count])
            sink.shutdown(socket.SHUT_WR)


def make_version(folder: Path, files: int, megabytes: int) -> None:
    """Write a version with a manifest whose files no store can squeeze."""
    from tfs_deploy.savedmodel import inspect_model
    from tfs_deploy.savedmodel.manifest import build_manifest, signature_digest, write_manifest

    shutil.copytree(TESTS / "data/verify/plain/1", folder)
    assets = folder / "assets"
    assets.mkdir(exist_ok=True)
    size = (megabytes << 20) // files
    for index in range(files):
        (assets / f"{index:05}").write_bytes(os.urandom(size))
    write_manifest(folder, build_manifest(folder, signature_digest=signature_digest(inspect_model(folder).signatures)))


def round_of(index: int, version: Path, root: str, folder: Path) -> dict[str, tuple[float, int]]:
    """Run each job once; what was pulled is removed."""
    # what comes first finds colder caches
    names = ["put", "publish", "get", "pull", HASHED] if index % 2 else ["publish", "put", HASHED, "pull", "get"]
    found = {}
    for name in names:
        address = f"{root}/{index}/{'digits' if name in ('publish', 'pull') else 'alone'}"
        if name in ("put", "publish"):
            found[name] = measure(name, address, version)
            continue
        target = folder / name
        found[name] = measure(name, address, target)
        shutil.rmtree(target)
    return found


def main() -> int:
    from support import object_stores

    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=64)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--network", type=float, help="MB/s")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_version(folder / "new/1", given.files, given.megabytes)
        (folder / "store").mkdir()
        with object_stores.seaweedfs(folder / "store") as store:
            port = store.port if given.network is None else Wire(store.port, given.network * 2**20).port
            os.environ.update(store.through(port))
            rounds = [
                round_of(index, folder / "new/1", store.root, folder / "pulled") for index in range(given.rounds + 1)
            ][1:]
    missed = False
    print(f"{given.files} files, {given.megabytes} MB, median of {given.rounds} rounds; rates in MB/s")
    for ours, alone, limit in (("publish", "put", RATIO), ("pull", "get", RATIO), ("pull", HASHED, 0.0)):
        rates = {it: given.megabytes / statistics.median(found[it][0] for found in rounds) for it in (ours, alone)}
        ratio = statistics.median(found[alone][0] / found[ours][0] for found in rounds)
        memory = max(found[ours][1] for found in rounds)
        right = ratio >= limit and memory <= MEGABYTES
        missed = missed or not right
        print(
            f"{ours:8} {rates[ours]:6.0f}   obstore: {alone:13} {rates[alone]:6.0f}   ratio {ratio:.2f} (>= {limit})  "
            f"memory {memory:4d} MB (<= {MEGABYTES})   {'yes' if right else 'NO'}"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        job(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        sys.exit(main())
