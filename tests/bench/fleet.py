# SPDX-License-Identifier: Apache-2.0
"""What a fleet costs the controller: a rollout with 1, 100 and 1,000 models on 1, 10 and 50 replicas.

Run: python tests/bench/fleet.py      (prints a table; exits 1 when a limit is missed)

The replicas are simulated servers in a process of their own that answer over gRPC, one port each, so the controller's
processor time is that of the real thing: every model of the deployment is in the files it writes and in each reload.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfs_deploy import codec, protos
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.host.tcp_ports import free_ports
from tfs_deploy.protos import methods
from tfs_deploy.protos.signatures import DTYPE_NUMBERS
from tfs_deploy.rollout import Rollout, Status
from tfs_deploy.rollout.controller.journal import Journal, replay
from tfs_deploy.rollout.machine.actions import Apply, Finish, Wait, action_name
from tfs_deploy.rollout.machine.history import Event
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.savedmodel.goldens import Golden, write_goldens

ZOO = Path(__file__).parents[1] / "data" / "models" / "zoo"
MODELS, REPLICAS = (1, 100, 1000), (1, 10, 50)
X = np.array([1.0, 2.0], np.float32)
OFFSETS = {1: np.float32(2), 2: np.float32(3)}
LIMIT = 50.0
#: how much more than in proportion ten times the models or five times the replicas may cost
SLACK = 1.5


class Simulated:
    """One server that loads in no time and knows one model's versions and labels."""

    def __init__(self) -> None:
        self.versions, self.labels = [1], {"stable": 1}

    def status(self, _body: bytes, _context: Any) -> bytes:
        response = protos.GetModelStatusResponse()
        for version in self.versions:
            response.model_version_status.add(version=version, state=30)
        return response.SerializeToString()

    def reload(self, body: bytes, _context: Any) -> bytes:
        wanted = protos.ReloadConfigRequest.FromString(body).config.model_config_list.config[0]
        self.versions = list(wanted.model_version_policy.specific.versions)
        self.labels = dict(wanted.version_labels)
        return bytes(protos.ReloadConfigResponse().SerializeToString())

    def metadata(self, body: bytes, context: Any) -> bytes:
        import grpc

        spec = protos.GetModelMetadataRequest.FromString(body).model_spec
        label, version = spec.version_label, spec.version.value
        if not version and label not in self.labels:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {spec}")
        response = protos.GetModelMetadataResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version or self.labels[label]
        found = protos.SignatureDefMap()
        definition = found.signature_def["serving_default"]
        definition.method_name = "tensorflow/serving/predict"
        for side, name in ((definition.inputs, "x"), (definition.outputs, "y")):
            side[name].name = f"{name}:0"
            side[name].dtype = DTYPE_NUMBERS["float32"]
            side[name].tensor_shape.dim.add(size=-1)
        response.metadata["signature_def"].Pack(found)
        return bytes(response.SerializeToString())

    def predict(self, body: bytes, _context: Any) -> bytes:
        call = codec.decode_predict_request(body)
        version = call.version or self.labels[call.label or "stable"]
        outputs = {"y": call.inputs["x"] / 2 + OFFSETS[version]}
        return codec.encode_predict_response(outputs, model=call.model, version=version, signature="serving_default")


def serve(ports: list[int]) -> None:
    import grpc

    class Handler(grpc.GenericRpcHandler):
        def __init__(self) -> None:
            one = Simulated()
            self.answers = {
                methods.PREDICT: one.predict,
                methods.GET_MODEL_METADATA: one.metadata,
                methods.GET_MODEL_STATUS: one.status,
                methods.RELOAD_CONFIG: one.reload,
            }

        def service(self, details: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(self.answers[details.method])

    pool = futures.ThreadPoolExecutor(16)
    servers = []
    for port in ports:
        server = grpc.server(pool, handlers=(Handler(),), options=[("grpc.max_receive_message_length", -1)])
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        servers.append(server)
    print("ready", flush=True)
    sys.stdin.read()


def deploy(folder: Path, models: int) -> Path:
    """Write a deployment of so many models, of which the first has two versions on disk."""
    for version, offset in OFFSETS.items():
        target = folder / "models" / "m0" / str(version)
        shutil.copytree(ZOO / str(version), target)
        write_goldens(target, [Golden("serving_default", {"x": X}, {"y": X / 2 + offset})])
    entry = "  - {{name: m{0}, base_path: models/m{0}, versions: {{specific: [1]}}, labels: {{stable: 1}}}}"
    for number in range(1, models):
        (folder / "models" / f"m{number}").symlink_to("m0")
    lines = ["name: fleet", "server: {target: embedded, grpc_port: 8500}", "models:"]
    file = folder / "fleet.yaml"
    file.write_text("\n".join([*lines, *(entry.format(number) for number in range(models))]) + "\n")
    return file


@dataclass
class Cost:
    """What the ticks of one rollout took: processor and wall time in milliseconds."""

    processor: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    applies: list[float] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)


def measure(file: Path, ports: list[int]) -> Cost:
    """Roll version 2 out and time every tick."""
    cost = Cost()
    deployment = load_deployment(file)
    replicas = tuple(f"127.0.0.1:{port}" for port in ports)
    options = {"steps": (50, 100), "bake": 1.0, "poll": 0.1, "drain": 0.2, "ignore_memory": True, "ignore_lint": True}
    rollout = Rollout(deployment, "m0", to=2, replicas=replicas, **options)
    with rollout:
        while True:
            wall, processor = time.perf_counter(), time.process_time()
            action = rollout.tick()
            spent = 1000 * (time.process_time() - processor)
            cost.processor.append(spent)
            cost.wall.append(1000 * (time.perf_counter() - wall))
            if isinstance(action, Apply):
                cost.applies.append(spent)
            if isinstance(action, Wait):
                cost.looks.append(spent)
                time.sleep(action.seconds)
            if isinstance(action, Finish):
                break
        if rollout.result.status is not Status.DONE:
            raise SystemExit(f"{action_name(action)}: {rollout.result.reason}")
    return cost


def run(models: int, replicas: int) -> Cost:
    ports = free_ports(replicas)
    command = [sys.executable, __file__, "--serve", *map(str, ports)]
    with tempfile.TemporaryDirectory() as name:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            process.stdout.readline()
            return measure(deploy(Path(name), models), ports)
        finally:
            process.kill()
            process.communicate()


def main() -> int:
    if sys.argv[1:2] == ["--serve"]:
        serve([int(port) for port in sys.argv[2:]])
        return 0
    found: dict[tuple[int, int], Cost] = {}
    missed = False
    print("milliseconds of the controller's processor time for each tick, by replica where it says so")
    print(f"{'models':>7} {'replicas':>9} {'tick':>8} {'wall':>8} {'apply':>8} {'a replica':>10} {'at most':>8}  holds")
    for models in MODELS:
        for replicas in REPLICAS:
            cost = found[models, replicas] = run(models, replicas)
            mean, apply = statistics.mean(cost.processor), max(cost.applies)
            worst = max(mean, apply) / replicas
            holds = worst < LIMIT
            missed |= not holds
            wall = statistics.median(cost.wall)
            print(
                f"{models:>7} {replicas:>9} {mean:>8.1f} {wall:>8.1f} {apply:>8.1f} {worst:>10.2f} {LIMIT:>8.0f}"
                f"  {'yes' if holds else 'NO'}",
                flush=True,
            )
    print(f"\n{'growth, in proportion':<58} {'measured':>9} {'at most':>8}  holds")
    for name, ratio in growth(found).items():
        missed |= ratio > SLACK
        print(f"{name:<58} {ratio:>9.2f} {SLACK:>8.2f}  {'yes' if ratio <= SLACK else 'NO'}")
    missed |= not journal()
    return int(missed)


def journal() -> bool:
    """Write and read long journals; print how that grows and return whether it is in proportion."""
    start = Event("start", detail={"plan": RolloutPlan("m0", 1, 2).as_dict()})
    entry = Event("outcome", "load", detail={"stale_failure": False, "versions": [1, 2], "labels": {"stable": 1}})
    read: dict[int, float] = {}
    print(f"\n{'journal':<58} {'ms':>9}")
    for entries in (1_000, 10_000):
        with tempfile.TemporaryDirectory() as name:
            log = Journal.create(Path(name), "m0")
            log.append(start)
            started = time.perf_counter()
            for _ in range(200):
                log.append(entry)
            each = (time.perf_counter() - started) / 0.2
            line = log.path.read_bytes().splitlines(keepends=True)[-1]
            with log.path.open("ab") as file:
                file.write(line * (entries - 201))
            log.append(entry)  # which waits for the disk to have all of them
            rounds = []
            for _ in range(5):
                started = time.perf_counter()
                replay(log.read())
                rounds.append(1000 * (time.perf_counter() - started))
            started = time.perf_counter()
            for _ in range(50):
                log.append(entry)
            late = (time.perf_counter() - started) / 0.05
        read[entries] = min(rounds)
        print(f"{'one entry, safe on the disk':<58} {each:>9.2f}")
        print(f"{f'  behind {entries} others':<58} {late:>9.2f}")
        print(f"{f'{entries} entries read and folded':<58} {read[entries]:>9.2f}")
    ratio = read[10_000] / read[1_000] / 10
    print(f"{'growth of reading, in proportion':<58} {ratio:>9.2f} {SLACK:>8.2f}  {'yes' if ratio <= SLACK else 'NO'}")
    return ratio <= SLACK


def growth(found: dict[tuple[int, int], Cost]) -> dict[str, float]:
    """Return how costs grow from 100 to 1,000 models and from 10 to 50 replicas; 1 is in proportion, less is better."""
    ratios = {}
    for replicas in REPLICAS:
        small, large = max(found[100, replicas].applies), max(found[1000, replicas].applies)
        ratios[f"a reload, 100 to 1,000 models on {replicas} replicas"] = large / small / 10
    for models in MODELS:
        small, large = (statistics.median(found[models, replicas].looks) for replicas in (10, 50))
        ratios[f"a look, 10 to 50 replicas with {models} models"] = large / small / 5
        small, large = (max(found[models, replicas].applies) for replicas in (10, 50))
        ratios[f"a reload, 10 to 50 replicas with {models} models"] = large / small / 5
    return ratios


if __name__ == "__main__":
    sys.exit(main())
