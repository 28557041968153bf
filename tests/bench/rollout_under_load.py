# SPDX-License-Identifier: Apache-2.0
"""A rollout 1 -> 2 in four steps, a rollback, and one stopped by a gate, under load from 8 threads and 64 async calls.

Run: python tests/bench/rollout_under_load.py [--target docker [--image IMAGE]] [--requests 100000] [--html FILE]
(exits 1 when a limit is missed; without --image the container is made of this environment)

The server, each load generator and the controller are processes of their own. Consumers go through ``Router`` and
``AsyncRouter`` with a key for each request, so that afterwards every single request tells which split it was sent by.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from tfs_deploy.client import AsyncClient, AsyncRouter, Client, Router
from tfs_deploy.client.routing.label_choice import choose, position
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.host.tcp_ports import free_ports
from tfs_deploy.launch.up import down, up
from tfs_deploy.report import rollout_html
from tfs_deploy.rollout import GateVerdict, Rollout, Status, Verdict
from tfs_deploy.rollout.begin import recorded_rollouts
from tfs_deploy.savedmodel.goldens import Golden, write_goldens

MODELS = Path(__file__).parents[1] / "data" / "models"
#: version v of the zoo computes x / 2 + OFFSETS[v]
OFFSETS = {1: 2.0, 2: 3.0}
STEPS = (5.0, 25.0, 50.0, 100.0)
X = np.array([1.0, 2.0, 5.0], np.float32)
THREADS, CALLS, KEYS = 8, 64, 997
#: rounds, and seconds of steady load at the beginning of each
ROUNDS, STEADY = 3, 5.0
FILE = """
name: bench
server: {server}
models:
  - name: zoo
    base_path: models/zoo
    versions: {{specific: [1]}}
    labels: {{stable: 1}}
    traffic: {{stable: 100}}
"""
#: one request: when it was sent, when its answer came, which version answered (0: none), its key, whether to stable
FIELDS = np.dtype([("sent", "f8"), ("done", "f8"), ("version", "i4"), ("key", "i4"), ("stable", "?")])


def consume_in_threads(address: str, traffic: str, rows: list[tuple[Any, ...]], stop: threading.Event) -> None:
    with Client(address) as client:
        router = Router(client, "zoo", traffic)

        def work(number: int) -> None:
            for key in itertools.islice(itertools.cycle(range(KEYS)), number * 89, None):
                if stop.is_set():
                    return
                label = router.choose(key)
                sent, version = time.monotonic(), 0
                try:
                    version = checked(router.predict({"x": X}, label=label))
                except TfsDeployError as error:
                    print(f"failed: {error.message}", file=sys.stderr, flush=True)
                rows.append((sent, time.monotonic(), version, key, label == "stable"))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        router.close()


async def consume_async(address: str, traffic: str, rows: list[tuple[Any, ...]], stop: threading.Event) -> None:
    async with AsyncClient(address) as client:
        router = AsyncRouter(client, "zoo", traffic)

        async def work(number: int) -> None:
            for key in itertools.islice(itertools.cycle(range(KEYS)), number * 13, None):
                if stop.is_set():
                    return
                label = router.choose(key)
                sent, version = time.monotonic(), 0
                try:
                    version = checked(await router.predict({"x": X}, label=label))
                except TfsDeployError as error:
                    print(f"failed: {error.message}", file=sys.stderr, flush=True)
                rows.append((sent, time.monotonic(), version, key, label == "stable"))

        await asyncio.gather(*(work(number) for number in range(CALLS)))
        router.close()


def checked(reply: Any) -> int:
    """Return the version that answered, 0 if its answer is wrong."""
    right = np.allclose(reply["y"], X / 2 + OFFSETS[reply.version])
    return int(reply.version) if right else 0


def worker(kind: str, address: str, traffic: str, target: str) -> int:
    stop, rows = threading.Event(), []
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("ready", flush=True)
    threading.Thread(target=tell_count, args=(rows, Path(target).with_suffix(".count")), daemon=True).start()
    if kind == "threads":
        consume_in_threads(address, traffic, rows, stop)
    else:
        asyncio.run(consume_async(address, traffic, rows, stop))
    np.save(target, np.array(rows, FIELDS))
    return 0


def tell_count(rows: list[tuple[Any, ...]], path: Path) -> None:
    while True:
        path.write_text(str(len(rows)))
        time.sleep(0.25)


class Load:
    """The two load generators; ``rows`` are all their requests, once they are stopped."""

    def __init__(self, address: str, traffic: Path, folder: Path) -> None:
        self.rows = np.empty(0, FIELDS)
        self._targets = {kind: folder / f"{kind}.npy" for kind in ("threads", "async")}
        self._processes = []
        for kind, target in self._targets.items():
            command = [sys.executable, __file__, "--worker", kind, address, str(traffic), str(target)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE)
            self._processes.append(process)
        for process in self._processes:
            process.stdout.readline()

    def count(self) -> int:
        """Return how many requests there were so far."""
        return sum(int(target.with_suffix(".count").read_text() or 0) for target in self._targets.values())

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        codes = [process.wait(60) for process in self._processes]
        if any(codes):
            raise SystemExit("a load generator failed")
        self.rows = np.concatenate([np.load(target) for target in self._targets.values()])

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


class Refuse:
    """A gate that says no at 50 %."""

    name = "business"

    def __init__(self, story: Story) -> None:
        self._story = story

    def judge(self, step: Any) -> GateVerdict:
        if step.weight != 50:
            return GateVerdict(self.name, Verdict.PASS)
        self._story.mark("the gate says no")
        return GateVerdict(self.name, Verdict.FAIL, "fewer sales")


class Story:
    """What happened when, in monotonic seconds."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, str]] = []

    def mark(self, text: str) -> None:
        self.marks.append((time.monotonic(), text))
        print(f"  {text}", file=sys.stderr, flush=True)

    def at(self, text: str) -> float:
        """Return when a text was first heard."""
        return next(when for when, heard in self.marks if heard.startswith(text))


def made_image() -> str:
    """Make the image of the embedded server unless it is there, and return its name."""
    build = [sys.executable, str(Path(__file__).parents[2] / "docker" / "build")]
    return subprocess.run(build, check=True, capture_output=True, text=True).stdout.strip()


def deploy(folder: Path, target: str, image: str | None) -> Path:
    """Write a deployment of the zoo's two versions, with recorded answers."""
    for version, offset in OFFSETS.items():
        place = folder / "models" / "zoo" / str(version)
        shutil.copytree(MODELS / "zoo" / str(version), place)
        write_goldens(place, [Golden("serving_default", {"x": X}, {"y": X / 2 + np.float32(offset)})])
    ports = free_ports(2)
    file = folder / "bench.yaml"
    server = {"target": target, "grpc_port": ports[0], "rest_port": ports[1]}
    if target == "docker":
        server["docker"] = {"image": image or made_image()}
    file.write_text(FILE.format(server=json.dumps(server)))
    return file


def drive(file: Path, stories: list[Story], load: Load, requests: int) -> None:
    """Carry out rounds of a rollout and a rollback, then a rollout that is refused, while the load goes on."""
    deployment = load_deployment(file)
    time.sleep(4.0)  # until connections are open and code is warm
    for story in stories:
        before = load.count()
        story.mark("steady begins")
        time.sleep(STEADY)
        story.mark("steady ends")
        seconds = 1.1 * requests / ((load.count() - before) / STEADY) / len(stories)
        bake = max(4.0, (seconds - STEADY) / len(STEPS) - 1.0)
        Rollout(deployment, "zoo", to=2, steps=STEPS, bake=bake).run(on_event=story.mark)
        story.mark("promoted")
        time.sleep(1.0)
        story.mark("rollback begins")
        Rollout.back(deployment, "zoo").run(on_event=story.mark)
        story.mark("rollback ends")
        time.sleep(1.0)
    gates = [Refuse(stories[-1])]
    refused = Rollout(deployment, "zoo", to=2, steps=(25, 50, 100), bake=3, gates=gates).run(check=False)
    if refused.status is not Status.ROLLED_BACK:
        raise SystemExit(f"the refused rollout ended {refused.status.value}: {refused.reason}")
    time.sleep(2.0)


def lag(rows: Any, begun: float, weights: dict[str, float]) -> float:
    """Return for how long after ``begun`` requests were still sent by another split than ``weights``, in seconds."""
    wanted = np.array([choose(weights, position(key, "zoo")) == "stable" for key in range(KEYS)])
    near = rows[(rows["sent"] > begun) & (rows["sent"] < begun + 2.5)]
    late = near[near["stable"] != wanted[near["key"]]]
    return float(late["sent"].max() - begun) if len(late) else 0.0


def p99(rows: Any, start: float, end: float) -> float:
    """Return the 99th percentile of the latencies of answers within a span of time, in milliseconds."""
    inside = rows[(rows["done"] >= start) & (rows["done"] < end)]
    return 1000 * float(np.percentile(inside["done"] - inside["sent"], 99)) if len(inside) else float("nan")


class Table:
    """Prints rows and remembers missed limits."""

    def __init__(self) -> None:
        self.missed = False
        print(f"{'what':<58} {'measured':>10}      {'limit':>10}  holds")

    def row(self, name: str, value: float, unit: str, limit: float | None = None, *, least: bool = False) -> None:
        holds = limit is None or (value >= limit if least else value <= limit)
        self.missed |= not holds
        shown = "" if limit is None else f"{'>=' if least else '<='} {limit:g}"
        verdict = "" if limit is None else "yes" if holds else "NO"
        print(f"{name:<58} {value:>10.3f} {unit:<4} {shown:>11}  {verdict}")


def report(rows: Any, stories: list[Story], requests: int) -> bool:
    """Print the table; return whether every limit holds."""
    table = Table()
    table.row("requests", len(rows), "", requests, least=True)
    table.row("  of them failed or with a wrong answer", int((rows["version"] == 0).sum()), "", 0)
    steady = [p99(rows, story.at("steady begins"), story.at("steady ends")) for story in stories]
    table.row(f"steady: p99, median of {len(stories)} rounds", statistics.median(steady), "ms")
    for step in STEPS:
        spans = [(story.at(f"{step:g} % of the traffic"), story.at(f"{step:g} %: pass")) for story in stories]
        found = [p99(rows, *span) for span in spans]
        table.row(f"step {step:g} %: p99", statistics.median(found), "ms")
        ratios = [value / before for value, before in zip(found, steady, strict=True)]
        table.row("  against steady before it", statistics.median(ratios), "x", 1.5)
    apart = {
        "load and smoke of version 2": ("waiting for version 2", "label canary points"),
        "promotion": ("label stable points", "promoted"),
        "rollback with its load": ("rollback begins", "rollback ends"),
    }
    for name, (start, end) in apart.items():
        found = [p99(rows, story.at(start), story.at(end)) for story in stories]
        table.row(f"{name} (apart): p99", statistics.median(found), "ms")
    for step in STEPS:
        split = {"stable": 100 - step, "canary": step}
        lags = [lag(rows, story.at(f"{step:g} % of the traffic"), split) for story in stories]
        table.row(f"consumers follow {step:g} % within, at worst", max(lags), "s", 1.0)
    no = stories[-1].at("the gate says no")
    canary = rows[(rows["version"] == 2) & (rows["done"] > no)]
    last = float(canary["done"].max() - no) if len(canary) else 0.0
    table.row("from the gate's no to the last answer of the canary", last, "s", 1.0)
    return not table.missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", choices=("embedded", "docker"), default="embedded", help="what the server runs in")
    parser.add_argument("--image", help="of the container, with --target docker")
    parser.add_argument("--requests", type=int, default=100_000, help="at least so many, all in all")
    parser.add_argument("--html", type=Path, help="write the report of the first rollout into this file")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return worker(*arguments.worker)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        file = deploy(Path(name), arguments.target, arguments.image)
        deployment = load_deployment(file)
        address = up(deployment).server.grpc_address
        stack.callback(down, deployment)
        load = Load(address, deployment.state_dir / "traffic.json", Path(name))
        stack.callback(load.kill)
        stories = [Story() for _ in range(ROUNDS)]
        drive(file, stories, load, arguments.requests)
        load.stop()
        if arguments.html:
            *_, first = recorded_rollouts(deployment.state_dir, "zoo")
            arguments.html.write_text(rollout_html(first.plan, first.events))
    return 0 if report(load.rows, stories, arguments.requests) else 1


if __name__ == "__main__":
    sys.exit(main())
