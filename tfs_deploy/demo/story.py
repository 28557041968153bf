# SPDX-License-Identifier: Apache-2.0
"""The demo, act by act: train, serve, check, roll out under load, refuse a bad version, report."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.client import Client, RestClient, Router
from tfs_deploy.config import server_flags, write_config
from tfs_deploy.demo.agreement import Agreement, agreement, agreement_table
from tfs_deploy.demo.folder import Folder, prepare, write_deployment
from tfs_deploy.demo.load import LiveCounters, Load, TrafficSummary
from tfs_deploy.demo.train import CONVOLUTION_EPOCHS, SOFTMAX_EPOCHS
from tfs_deploy.demo.training_process import train
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import VerdictError
from tfs_deploy.launch import EmbeddedLauncher
from tfs_deploy.report import Column, Table
from tfs_deploy.rollout import ErrorRateGate, LatencyGate, RequestStats, Rollout
from tfs_deploy.state.traffic import traffic_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from tfs_deploy.demo.view import View
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.rollout import RolloutResult, StepReport

MODEL = "digits"
STEPS = (5.0, 25.0, 50.0, 100.0)
#: gates beside the golden gate; the latency limit is absolute, since a busy laptop would fail a relative one
GATES = (ErrorRateGate(max_rate=0.0), LatencyGate(max_seconds=0.5, max_ratio=None))


@dataclass
class Story:
    """Everything that happened in the demo, for the report and for ``--json``."""

    folder: Folder
    trained: list[dict[str, Any]] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    steps: list[tuple[StepReport, TrafficSummary]] = field(default_factory=list)
    promoted: RolloutResult | None = None
    traffic: TrafficSummary | None = None
    refused: RolloutResult | None = None
    stable: int | None = None
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "folder": str(self.folder.root),
            "deployment": str(self.folder.deployment),
            "report": str(self.folder.report),
            "trained": self.trained,
            "agreements": [{**asdict(entry), "ok": entry.ok} for entry in self.agreements],
            "steps": [{**step.as_dict(), "traffic": asdict(window)} for step, window in self.steps],
            "promoted": self.promoted and self.promoted.as_dict(),
            "traffic": self.traffic and asdict(self.traffic),
            "refused": self.refused and self.refused.as_dict(),
            "stable": self.stable,
            "seconds": self.seconds,
        }


def run_demo(root: Path, view: View, *, bake: float = 3.0) -> Story:
    """Run the demo in a folder and return its story; the server is stopped in any case.

    ``bake``: seconds in each step of a rollout.

    Raises:
        VerdictError: a served model does not answer as trained, a request failed, or the bad version was promoted.
        UsageError, EnvironmentFault: the folder cannot be used, a package is missing, or the machine is not ready.
    """
    started = time.monotonic()
    story = Story(prepare(root))
    _train(story, view)
    write_deployment(story.folder)
    deployment = load_deployment(story.folder.deployment, check_disk=True)
    with _serving(story, deployment, view), Client(_grpc(deployment)) as client, RestClient(_rest(deployment)) as rest:
        rows = _load(story.folder, "rows")
        _compare(story, view, {"gRPC": client, "REST": rest}, rows)
        _roll_out(story, view, deployment, client, rows, bake)
        _refuse(story, view, deployment, client, rows, bake)
        story.stable = client.metadata(MODEL, label="stable").version
    _judge(story)
    image = rows["image"][:1]
    story.folder.row.write_text(json.dumps(image.tolist()), encoding="utf-8")
    story.seconds = time.monotonic() - started
    return story


def _train(story: Story, view: View) -> None:
    view.heading("1  Train and export", "1,797 handwritten digits, 8x8 pixels, one fifth of them held out")
    work = SOFTMAX_EPOCHS + CONVOLUTION_EPOCHS + 3
    with view.progress("starting TensorFlow", work) as bar:
        for event in train(story.folder.root, story.folder.training_log):
            bar.advance()
            if event["event"] == "epoch":
                bar.say(f"training the {event['model'].replace('_', ' ')}: accuracy {event['accuracy']:.1%}")
            else:
                bar.say(f"exported version {event['version']}")
                story.trained.append(event)
        bar.say("trained and exported three versions")
    view.table(
        Table.of(
            ["version", "model", Column("accuracy", "right"), "directory"],
            [
                [
                    event["version"],
                    event["description"],
                    f"{event['accuracy']:.2%}",
                    f"{story.folder.models / str(event['version'])}",
                ]
                for event in story.trained
                if event["version"] < 3
            ],
        )
    )


@contextlib.contextmanager
def _serving(story: Story, deployment: Deployment, view: View) -> Iterator[None]:
    view.heading("2  Serve", "models.config from the deployment file, the server as a process of its own")
    write_config(deployment, deployment.config_dir)
    flags = server_flags(deployment, deployment.config_dir)
    with contextlib.ExitStack() as stack:
        with view.progress("starting the server") as bar:
            server = stack.enter_context(EmbeddedLauncher().start(flags, log_path=story.folder.server_log))
            with Client(server.grpc_address) as client:
                for version in (1, 2):
                    client.wait_ready(MODEL, version=version)
            bar.say("versions 1 and 2 are available")
        view.note(f"gRPC {server.grpc_address}, REST http://{server.rest_address}, process {server.pid}")
        yield


def _compare(story: Story, view: View, clients: Mapping[str, Any], rows: Mapping[str, NDArray[Any]]) -> None:
    view.heading("3  Check", "every held-out row over both transports, compared with Keras' own answers")
    for version in (1, 2):
        expected = _load(story.folder, str(version))
        story.agreements += [agreement(version, name, client, rows, expected) for name, client in clients.items()]
    view.table(agreement_table(story.agreements))


def _roll_out(
    story: Story, view: View, deployment: Deployment, client: Client, rows: Mapping[str, NDArray[Any]], bake: float
) -> None:
    view.heading("4  Roll out", "stable moves from version 1 to version 2, step by step, under live load")
    stats = RequestStats(synthetic=True)
    with _load_on(deployment, client, stats, rows) as load:

        def on_step(step: StepReport) -> None:
            window = load.window(step.start, step.end)
            story.steps.append((step, window))
            bar.advance()

        with view.progress("rolling out", len(STEPS)) as bar, LiveCounters(load, bar) as shown:
            rollout = Rollout(deployment, MODEL, to=2, steps=STEPS, bake=bake, requests=stats, gates=GATES)
            story.promoted = rollout.run(on_step=on_step, on_event=shown.say, check=False)
            shown.say(f"rollout {story.promoted.status.value}")
    story.traffic = load.window()
    view.table(steps_table(story))
    if load.first_error():
        view.note(f"the first failed request: {load.first_error()}")


def _refuse(
    story: Story, view: View, deployment: Deployment, client: Client, rows: Mapping[str, NDArray[Any]], bake: float
) -> None:
    view.heading("5  Refuse", "version 3 is version 2 with the weights of its last layer shuffled")
    stats = RequestStats(synthetic=True)
    with (
        _load_on(deployment, client, stats, rows) as load,
        view.progress("rolling out version 3") as bar,
        LiveCounters(load, bar) as shown,
    ):
        rollout = Rollout(deployment, MODEL, to=3, steps=STEPS, bake=bake, requests=stats, gates=GATES)
        story.refused = rollout.run(on_event=shown.say, check=False)
        shown.say(f"version 3 {story.refused.status.value}")
    window = load.window()
    where = "at step " + f"{story.refused.steps[-1].weight:g} %" if story.refused.steps else "before any traffic"
    view.note(f"the golden gate stopped it {where}: {story.refused.reason}")
    view.note(f"meanwhile {window.errors} of {window.requests:,} requests failed, accuracy {_accuracies(window)}")


def _load_on(deployment: Deployment, client: Client, stats: RequestStats, rows: Mapping[str, NDArray[Any]]) -> Load:
    router = Router(client, MODEL, traffic_path(deployment.state_dir))
    return Load(router, stats, rows["image"], rows["label"])


def steps_table(story: Story) -> Table:
    """Return one row per step, and one for all traffic, including the pauses between the steps."""
    columns: list[Column | str] = [
        *("step", Column("requests", "right"), Column("errors", "right"), Column("p50 ms", "right")),
        *(Column("p99 ms", "right"), Column("version 1", "right"), Column("version 2", "right")),
        Column("verdict", verdict=True),
    ]
    rows = [[f"{step.weight:g} %", *_cells(window), step.verdict.value] for step, window in story.steps]
    if story.traffic is not None and story.promoted is not None:
        rows.append(["all", *_cells(story.traffic), story.promoted.status.value])
    return Table.of(columns, rows, title="accuracy and share of the answers, by the version that gave them")


def _cells(window: TrafficSummary) -> list[str]:
    latencies = ["-" if seconds is None else f"{1000 * seconds:.1f}" for seconds in (window.p50, window.p99)]
    by_version = [
        f"{window.accuracy[version]:.1%} ({window.share[version]:.0%})" if version in window.accuracy else "-"
        for version in (1, 2)
    ]
    return [f"{window.requests:,}", str(window.errors), *latencies, *by_version]


def _accuracies(window: TrafficSummary) -> str:
    return ", ".join(f"{accuracy:.1%} by version {version}" for version, accuracy in window.accuracy.items()) or "-"


def _judge(story: Story) -> None:
    """Raise ``VerdictError`` unless everything went as expected."""
    differing = [entry for entry in story.agreements if not entry.ok]
    if differing:
        first = differing[0]
        raise _verdict(story, f"version {first.version} does not answer over {first.transport} as it does in Keras")
    if story.promoted is None or story.traffic is None or story.refused is None:
        raise _verdict(story, "the demo did not finish")
    story.promoted.check()
    if story.traffic.errors:
        raise _verdict(story, f"{story.traffic.errors} requests failed during the rollout")
    if story.refused.done or story.stable != 2:
        raise _verdict(story, f"the bad version 3 was not stopped; stable is version {story.stable}")


def _verdict(story: Story, message: str) -> VerdictError:
    return VerdictError(message, hint=f"the server's log may tell why: {story.folder.server_log}")


def _grpc(deployment: Deployment) -> str:
    return f"127.0.0.1:{deployment.server.grpc_port}"


def _rest(deployment: Deployment) -> str:
    return f"127.0.0.1:{deployment.server.rest_port}"


def _load(folder: Folder, name: str) -> dict[str, NDArray[Any]]:
    with np.load(folder.reference(name)) as arrays:
        return {key: arrays[key] for key in arrays.files}
