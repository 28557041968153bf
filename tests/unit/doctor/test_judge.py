# SPDX-License-Identifier: Apache-2.0
"""Each judgement over the facts that matter to it: level, words, and what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tfs_deploy.doctor.containers import judge_containers
from tfs_deploy.doctor.facts import (
    Certificate,
    Clock,
    Disk,
    EngineFacts,
    Gpu,
    Limits,
    MachineFacts,
    ModelStore,
    Packages,
    Port,
    Refusal,
    TrustedKey,
    Wanted,
)
from tfs_deploy.doctor.finding import Finding, Level
from tfs_deploy.doctor.judge import judge
from tfs_deploy.doctor.machine import (
    judge_certificate,
    judge_clock,
    judge_disk,
    judge_idle_variable,
    judge_limits,
    judge_port,
    judge_store,
    judge_system,
    judge_trusted_key,
)
from tfs_deploy.doctor.packages import GOAWAY_ABORTS, judge_packages

OK, WARNING, PROBLEM, SKIPPED = Level.OK, Level.WARNING, Level.PROBLEM, Level.SKIPPED
NOTHING, EMBEDDED = Wanted(), Wanted("embedded")
DOCKER = Wanted("docker", "tensorflow/serving:2.19.1")
GPUS = replace(DOCKER, image="tensorflow/serving:2.19.1-gpu", gpus=True)
OWN = (
    "numpy>=1.26",
    "grpcio>=1.62",
    "protobuf<8,>=4.25",
    "tensorflow<3,>=2.16; extra == 'server'",
    "uvicorn>=0.30; extra == 'server'",
    "docker>=7.1; extra == 'docker'",
    "pytest>=8.3; extra == 'dev'",
)
GOOD = Packages(
    "3.11.7",
    {
        "tensorflow": "2.19.1",
        "numpy": "2.1.3",
        "grpcio": "1.70.0",
        "protobuf": "5.29.4",
        "uvicorn": "0.34.0",
        "docker": "7.1.0",
    },
    own=OWN,
    requires_python=">=3.10",
    extras=("server", "docker", "dev"),
    requires={"tensorflow": ("protobuf<6.0.0,>=3.20.3", "numpy<2.2.0,>=1.26.0", "tensorboard; extra == 'and'")},
    gencode={"tensorflow": "5.28.3"},
    tensorflow_builds=("tensorflow",),
)
ENGINE = EngineFacts(
    sdk=True,
    socket_there=True,
    socket_allowed=True,
    version="27.3.1",
    api="1.47",
    architecture="amd64",
    root="/var/lib/docker",
    skew=0.0,
    image="amd64",
)
NO_ENGINE = EngineFacts(sdk=True, error=Refusal("no Docker Engine answers", "start it"))
FAR_ENGINE = replace(NO_ENGINE, host="tcp://far", source="DOCKER_HOST", socket=None)
NO_GPU = Gpu(command=False, driver=False)
GPU = Gpu(command=True, driver=True, devices=("NVIDIA L4, 550.54, 23034 MiB",))


def by_id(findings: Any) -> dict[str, Finding]:
    """Ids are unique; whatever is wrong says what to do."""
    found: dict[str, Finding] = {}
    for each in findings:
        assert each.id not in found
        assert each.detail
        assert each.level in (OK, SKIPPED) or each.hint, each
        found[each.id] = each
    return found


def with_versions(**versions: str | None) -> Packages:
    changed = {name.replace("_", "-"): version for name, version in versions.items()}
    merged = {name: version for name, version in {**GOOD.installed, **changed}.items() if version is not None}
    return replace(GOOD, installed=merged)


@pytest.mark.parametrize(
    ("facts", "name", "level", "words", "hint"),
    [
        (GOOD, "package.tensorflow", OK, "TensorFlow 2.19.1", ""),
        (with_versions(tensorflow="2.15.1", numpy="1.26.4"), "package.tensorflow", PROBLEM, "<3,>=2.16", "pip install"),
        (with_versions(tensorflow="3.0.0"), "package.tensorflow", PROBLEM, "but <3,>=2.16 is required", "pip install"),
        (
            with_versions(tensorflow=None),
            "package.tensorflow",
            SKIPPED,
            "nothing else does",
            "tf-serving-deploy[export]",
        ),
        (
            replace(GOOD, tensorflow_builds=("tensorflow", "tensorflow-cpu")),
            "package.tensorflow",
            PROBLEM,
            "overwrite",
            "pip uninstall -y tensorflow tensorflow-cpu",
        ),
        (replace(GOOD, python="3.9.18"), "python.version", PROBLEM, "but >=3.10 is required", "use a Python"),
        (replace(GOOD, python="3.14.0"), "python.version", WARNING, "not tested", "3.13"),
        (replace(GOOD, python="3.13.9"), "python.version", OK, "3.13.9", ""),
        (with_versions(tensorflow="2.17.0"), "package.numpy", PROBLEM, "built for NumPy 1", "numpy<2"),
        (with_versions(tensorflow="2.18.0"), "package.numpy", OK, "2.1.3", ""),
        (with_versions(tensorflow="2.17.0", numpy="1.26.4"), "package.numpy", OK, "1.26.4", ""),
        (with_versions(tensorflow=None), "package.numpy", OK, "2.1.3", ""),
        (with_versions(numpy="1.24.0"), "package.numpy", PROBLEM, ">=1.26 is required", "pip install 'numpy>=1.26'"),
        (with_versions(grpcio="1.60.0"), "package.grpcio", PROBLEM, "but >=1.62 is required", "pip install"),
        (with_versions(grpcio="1.85.1"), "package.grpcio", PROBLEM, "can end the process of a client", "!=1.85.1"),
        (with_versions(grpcio=None), "package.grpcio", PROBLEM, "not installed", "pip install 'grpcio>=1.62'"),
        (with_versions(protobuf="8.0.0"), "package.protobuf", PROBLEM, "but <8,>=4.25 is required", "pip install"),
        (with_versions(protobuf="5.28.2"), "package.gencode", PROBLEM, "generated for protobuf 5.28.3", ">=5.28.3"),
        (with_versions(protobuf="5.28.3"), "package.gencode", OK, "tensorflow by 5.28.3", ""),
        (replace(GOOD, gencode={}), "package.gencode", SKIPPED, "no installed package", ""),
        (GOOD, "package.name", OK, "nothing else", ""),
        (
            replace(GOOD, namesake="0.1.5 (Terraform helper)"),
            "package.name",
            PROBLEM,
            "tfs-deploy 0.1.5 (Terraform helper) is installed too",
            "pip uninstall -y tfs-deploy && pip install --force-reinstall --no-deps tf-serving-deploy",
        ),
        (GOOD, "package.serving-api", OK, "not needed", ""),
        (with_versions(tensorflow_serving_api="2.19.0"), "package.serving-api", OK, "as TensorFlow", ""),
        (
            with_versions(tensorflow_serving_api="2.20.0"),
            "package.serving-api",
            PROBLEM,
            "but 2.19.1 is installed",
            "2.19.*",
        ),
        (with_versions(tensorflow_serving_api="2.18.0"), "package.serving-api", WARNING, "older", "==2.19.*"),
        (
            with_versions(tensorflow_serving_api="2.19.0", tensorflow=None),
            "package.serving-api",
            WARNING,
            "cannot be imported",
            "do not need it",
        ),
        (GOOD, "package.conflicts", OK, "1 packages", ""),
        (with_versions(protobuf="6.31.0"), "package.conflicts", PROBLEM, "needs protobuf<6.0.0,>=3.20.3, it is", "pip"),
        (
            replace(
                GOOD,
                requires={"tensorflow": ("keras>=3",), "keras": ("h5py", "optree>=1; python_version < '3.0'")},
                installed={**GOOD.installed, "keras": "3.9"},
            ),
            "package.conflicts",
            PROBLEM,
            "keras 3.9 needs h5py, it is not installed",
            "pip check",
        ),
        (
            replace(GOOD, requires={"grpcio-tools": ("setuptools>=77",), "pytest": ("iniconfig>=3",)}),
            "package.conflicts",
            WARNING,
            "grpcio-tools  needs setuptools>=77, it is not installed; pytest  needs iniconfig>=3, it is not installed",
            "nothing here needs these packages",
        ),
        (GOOD, "extra.server", OK, "uvicorn 0.34.0", ""),
        (
            with_versions(uvicorn="0.20"),
            "extra.server",
            PROBLEM,
            "0.20 (required: >=0.30)",
            "tf-serving-deploy[server]",
        ),
        (with_versions(uvicorn=None), "extra.server", SKIPPED, "not installed: uvicorn", "tf-serving-deploy[server]"),
        (replace(GOOD, own=None, extras=()), "extras", SKIPPED, "source tree", "pip install"),
    ],
)
def test_packages(facts, name, level, words, hint):
    found = by_id(judge_packages(facts, NOTHING))[name]
    assert found.level is level, found
    assert words in found.detail
    assert hint in (found.hint or "")


def test_good_packages_are_all_ok_and_sums_of_extras_are_left_out():
    found = by_id(judge_packages(GOOD, NOTHING))
    assert {each.level for each in found.values()} - {SKIPPED} == {OK}
    assert "extra.dev" not in found


@pytest.mark.parametrize(("wanted", "extra"), [(EMBEDDED, "server"), (DOCKER, "docker")])
def test_an_extra_that_the_file_needs_is_a_problem(wanted, extra):
    facts = with_versions(uvicorn=None, docker=None)
    found = by_id(judge_packages(facts, wanted))
    assert {name for name, each in found.items() if each.level is PROBLEM} == {f"extra.{extra}"}


@pytest.mark.parametrize(
    ("engine", "wanted", "name", "level", "words"),
    [
        (ENGINE, DOCKER, "docker.socket", OK, "/var/run/docker.sock"),
        (replace(ENGINE, socket_allowed=False), DOCKER, "docker.socket", PROBLEM, "may not use"),
        (replace(ENGINE, socket_allowed=False), NOTHING, "docker.socket", WARNING, "may not use"),
        (NO_ENGINE, NOTHING, "docker.socket", SKIPPED, "no Docker Engine on this machine"),
        (NO_ENGINE, EMBEDDED, "docker.socket", SKIPPED, "no Docker Engine on this machine"),
        (NO_ENGINE, DOCKER, "docker.socket", PROBLEM, "the deployment file needs it"),
        (
            replace(NO_ENGINE, others=("/run/user/1/docker.sock",)),
            NOTHING,
            "docker.socket",
            WARNING,
            "does not exist, but /run",
        ),
        (
            replace(NO_ENGINE, source="DOCKER_HOST", socket="/x"),
            NOTHING,
            "docker.socket",
            WARNING,
            "/x (DOCKER_HOST)",
        ),
        (
            FAR_ENGINE,
            NOTHING,
            "docker.socket",
            SKIPPED,
            "tcp://far",
        ),
        (ENGINE, DOCKER, "docker.engine", OK, "Docker Engine 27.3.1, API 1.47"),
        (replace(ENGINE, rootless=True), DOCKER, "docker.engine", OK, "rootless"),
        (NO_ENGINE, NOTHING, "docker.engine", SKIPPED, "no Docker Engine answers"),
        (NO_ENGINE, DOCKER, "docker.engine", PROBLEM, "no Docker Engine answers"),
        (replace(NO_ENGINE, socket_there=True), NOTHING, "docker.engine", WARNING, "no Docker Engine answers"),
        (
            FAR_ENGINE,
            EMBEDDED,
            "docker.engine",
            WARNING,
            "answers",
        ),
        (EngineFacts(sdk=False), NOTHING, "docker.engine", SKIPPED, "not checked"),
        (EngineFacts(sdk=False), DOCKER, "docker.engine", PROBLEM, "needs it"),
        (replace(ENGINE, os="windows"), DOCKER, "docker.engine", PROBLEM, "windows containers"),
        (replace(ENGINE, api="1.40"), DOCKER, "docker.engine", PROBLEM, "too old"),
        (replace(ENGINE, api="1.41"), DOCKER, "docker.engine", OK, "1.41"),
        (replace(ENGINE, name="Podman", version="4.3.1"), DOCKER, "docker.engine", WARNING, "restart policy"),
        (replace(ENGINE, name="Podman", version="5.1.0"), DOCKER, "docker.engine", OK, "Podman 5.1.0"),
        (ENGINE, NOTHING, "image.present", SKIPPED, "no deployment file"),
        (NO_ENGINE, DOCKER, "image.present", SKIPPED, "not reached"),
        (ENGINE, DOCKER, "image.present", OK, "is on this machine"),
        (replace(ENGINE, image=None), DOCKER, "image.present", WARNING, "has to pull it"),
        (replace(ENGINE, image=None), replace(DOCKER, pull="never"), "image.present", PROBLEM, "is never"),
        (ENGINE, DOCKER, "image.architecture", OK, "is for amd64"),
        (replace(ENGINE, architecture="arm64", image=None), DOCKER, "image.architecture", PROBLEM, "machine is arm64"),
        (replace(ENGINE, architecture="arm64", image=None), NOTHING, "image.architecture", WARNING, "official image"),
        (
            replace(ENGINE, image="arm64"),
            DOCKER,
            "image.architecture",
            PROBLEM,
            "is for arm64, but this machine is amd64",
        ),
        (
            replace(ENGINE, architecture="arm64"),
            replace(DOCKER, platform="linux/amd64"),
            "image.architecture",
            WARNING,
            "emulated",
        ),
        (
            replace(ENGINE, image=None),
            replace(DOCKER, image="ours/serving:1"),
            "image.architecture",
            SKIPPED,
            "not on this machine",
        ),
    ],
)
def test_engine_and_image(engine, wanted, name, level, words):
    found = by_id(judge_containers(engine, NO_GPU, wanted, "amd64"))[name]
    assert found.level is level, found
    assert words in found.detail


def test_without_an_engine_the_processor_of_the_machine_counts():
    found = by_id(judge_containers(NO_ENGINE, NO_GPU, DOCKER, "arm64"))
    assert found["image.architecture"].level is PROBLEM


@pytest.mark.parametrize(
    ("engine", "gpu", "wanted", "driver", "containers"),
    [
        (ENGINE, NO_GPU, NOTHING, SKIPPED, SKIPPED),
        (ENGINE, NO_GPU, GPUS, PROBLEM, PROBLEM),
        (NO_ENGINE, NO_GPU, GPUS, PROBLEM, SKIPPED),
        (ENGINE, GPU, NOTHING, OK, WARNING),
        (ENGINE, GPU, GPUS, OK, PROBLEM),
        (replace(ENGINE, runtimes=("runc", "nvidia")), GPU, GPUS, OK, OK),
        (ENGINE, replace(GPU, container_hook=True), GPUS, OK, OK),
        (ENGINE, Gpu(command=True, driver=False, error="no devices"), NOTHING, WARNING, SKIPPED),
        (ENGINE, Gpu(command=True, driver=True, error="mismatch"), GPUS, PROBLEM, PROBLEM),
        (ENGINE, Gpu(command=False, driver=True), NOTHING, WARNING, SKIPPED),
    ],
)
def test_gpus(engine, gpu, wanted, driver, containers):
    found = by_id(judge_containers(engine, gpu, wanted, "amd64"))
    assert (found["gpu.driver"].level, found["gpu.containers"].level) == (driver, containers)


@pytest.mark.parametrize(
    ("port", "wanted", "level", "words"),
    [
        (Port("grpc_port", 8500, "free"), NOTHING, OK, "8500 is free"),
        (Port("grpc_port", 8500, "taken", "process 7 (nc)"), NOTHING, WARNING, "in use by process 7 (nc)"),
        (Port("grpc_port", 8500, "taken", "process 7 (nc)"), EMBEDDED, PROBLEM, "in use by process 7 (nc)"),
        (Port("rest_port", 8501, "taken"), DOCKER, PROBLEM, "another user"),
        (Port("rest_port", 8501, "taken", "container shop", own=True), DOCKER, OK, "own server, container shop"),
        (
            Port("grpc_port", 8500, "taken", "process 7 (server)", own=True, open_on=("0.0.0.0",)),
            EMBEDDED,
            WARNING,
            "8500 is open to other machines on 0.0.0.0, which the file does not ask for",
        ),
        (Port("rest_port", 80, "forbidden"), EMBEDDED, PROBLEM, "may not be used"),
        (Port("rest_port", 0, "free"), EMBEDDED, SKIPPED, "turns it off"),
    ],
)
def test_ports(port, wanted, level, words):
    found = by_id([judge_port(port, wanted)])[f"port.{port.key[:4]}"]
    assert found.level is level
    assert words in found.detail


@pytest.mark.parametrize(
    ("disk", "level", "words"),
    [
        (Disk("state", "/d", 10**9, 10**6), OK, "/d: 1.0 GB free"),
        (Disk("state", "/d", 499 * 10**6, 10**6), WARNING, "499.0 MB free"),
        (Disk("state", "/d", 49 * 10**6, 10**6), PROBLEM, "49.0 MB free"),
        (Disk("state", "/d", 10**9, 999), PROBLEM, "only 999 more files"),
        (Disk("state", "/d", 10**9, None), OK, "free"),
        (Disk("state", "/d", 10**9, 10**6, writable=False), PROBLEM, "cannot be written"),
        (Disk("models.digits", "/d", 10**10, 10**6, writable=False), OK, "read-only"),
        (Disk("models.digits", "/d", 999 * 10**6, 10**6), WARNING, "999.0 MB"),
        (Disk("models.digits", "/d", 10**10, 10**6, readable=False), PROBLEM, "cannot be read"),
        (Disk("tmp", "/d", error="no usable directory"), PROBLEM, "no usable directory"),
        (Disk("docker", "/d", 3 * 10**9, 10**6), WARNING, "3.0 GB"),
    ],
)
def test_disks(disk, level, words):
    found = by_id([judge_disk(disk, EMBEDDED)])[f"disk.{disk.name}"]
    assert found.level is level
    assert words in found.detail


def test_a_directory_that_no_file_needs_may_be_read_only():
    assert judge_disk(Disk("state", "/", 10**9, writable=False), NOTHING).level is WARNING
    assert judge_disk(Disk("tmp", "/tmp", 10**9, writable=False), NOTHING).level is PROBLEM


@pytest.mark.parametrize(
    ("soft", "hard", "level", "hint"),
    [
        (None, None, OK, ""),
        (1024, 4096, OK, ""),
        (1023, None, WARNING, "ulimit -n 65536"),
        (256, 4096, WARNING, "ulimit -n 4096"),
        (255, 4096, PROBLEM, "ulimit -n 4096"),
        (64, 64, PROBLEM, "the hard limit is 64"),
    ],
)
def test_limits(soft, hard, level, hint):
    found = by_id([judge_limits(Limits(soft, hard))])["limits.files"]
    assert found.level is level
    assert hint in (found.hint or "")


NOW = 1_770_000_000.0
CLOCK = Clock(NOW, NOW - 100, files=0.0)


@pytest.mark.parametrize(
    ("clock", "skew", "system", "files", "engine"),
    [
        (CLOCK, 0.0, OK, OK, OK),
        (replace(CLOCK, now=0.0), 0.0, PROBLEM, OK, OK),
        (replace(CLOCK, now=5e9), 0.0, PROBLEM, OK, OK),
        (replace(CLOCK, newest=NOW + 3), 0.0, WARNING, OK, OK),
        (replace(CLOCK, monotonic=False), 0.0, PROBLEM, OK, OK),
        (replace(CLOCK, files=-3.0), 2.0, OK, WARNING, OK),
        (replace(CLOCK, files=-31.0), -2.1, OK, PROBLEM, WARNING),
        (replace(CLOCK, files=None), 30.1, OK, SKIPPED, PROBLEM),
        (CLOCK, None, OK, OK, SKIPPED),
    ],
)
def test_clocks(clock, skew, system, files, engine):
    found = by_id(judge_clock(clock, replace(ENGINE, skew=skew)))
    assert [found[f"clock.{name}"].level for name in ("system", "files", "engine")] == [system, files, engine]


def test_the_side_of_a_clock_is_named():
    found = by_id(judge_clock(CLOCK, replace(ENGINE, skew=-40.0)))
    assert found["clock.engine"].detail == "Docker Engine: 40 s behind this clock"


@pytest.mark.parametrize(
    ("store", "level", "detail"),
    [
        (ModelStore("m", "s3://b/m", 3), OK, "s3://b/m can be read: 3 versions"),
        (ModelStore("m", "s3://b/m"), WARNING, "s3://b/m can be read, but holds no published version"),
        (
            ModelStore("m", "s3://b/m", error=Refusal("no credentials", "set AWS_ACCESS_KEY_ID")),
            PROBLEM,
            "no credentials",
        ),
    ],
)
def test_stores(store, level, detail):
    finding = judge_store(store)
    assert (finding.id, finding.level, finding.detail) == ("store.m", level, detail)
    assert level is OK or finding.hint


@pytest.mark.parametrize(("system", "level"), [("Linux", OK), ("Darwin", WARNING)])
def test_systems(system, level):
    assert judge_system(system, "arm64").level is level


def test_a_diagnosis_counts_and_knows_its_problems():
    ports = (Port("grpc_port", 8500, "taken", "process 7 (nc)"), Port("rest_port", 8501, "free"))
    facts = MachineFacts(
        EMBEDDED,
        GOOD,
        "Linux",
        "amd64",
        ENGINE,
        NO_GPU,
        ports,
        (Disk("tmp", "/tmp", 10**9),),
        (),
        Limits(4096, None),
        CLOCK,
    )
    diagnosis = judge(facts)
    assert by_id(diagnosis.findings)
    assert [each.id for each in diagnosis.problems] == ["port.grpc"]
    document = diagnosis.as_dict()
    assert document["ok"] is False
    assert sum(document["counts"].values()) == len(document["findings"])
    assert judge(replace(facts, ports=ports[1:])).as_dict()["ok"] is True


@pytest.mark.parametrize(
    ("seconds", "level", "detail"),
    [
        (None, PROBLEM, "/c is not a readable certificate"),
        (-1.0, PROBLEM, "/c has expired"),
        (86_400.0, WARNING, "/c expires in 1 day"),
        (29.5 * 86_400, WARNING, "/c expires in 29 days"),
        (90.5 * 86_400, OK, "/c is valid for 90 days"),
    ],
)
def test_certificates(seconds, level, detail):
    found = judge_certificate(Certificate("cert", "/c", seconds))
    assert (found.id, found.level, found.detail) == ("tls.cert", level, detail)


@pytest.mark.parametrize(
    ("key", "level", "detail"),
    [
        (TrustedKey("/k"), OK, "/k is a public key"),
        (TrustedKey("/k", "/k holds several keys", "one file a key"), PROBLEM, "/k holds several keys"),
        (TrustedKey("/k", seconds=-1.0), PROBLEM, "/k has expired: what it vouches for is refused"),
        (TrustedKey("/k", seconds=3 * 86_400.0), WARNING, "/k expires in 3 days"),
        (TrustedKey("/k", seconds=90.5 * 86_400), OK, "/k is valid for 90 days"),
    ],
)
def test_trusted_keys(key, level, detail):
    found = judge_trusted_key(2, key)
    assert (found.id, found.level, found.detail) == ("trust.2", level, detail)


def test_the_versions_of_grpcio_that_abort_are_those_that_are_left_out() -> None:
    lines = (Path(__file__).parents[3] / "pyproject.toml").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith('  "grpcio>='))
    assert set(re.findall(r"!=([\d.]+)", line)) == GOAWAY_ABORTS


@pytest.mark.parametrize(
    ("near", "hint"),
    [("TFS_DEPLOY_UP_TIMEOUT", "did you mean TFS_DEPLOY_UP_TIMEOUT?"), (None, "tfs-deploy COMMAND --help says how")],
)
def test_a_variable_that_sets_nothing_is_a_warning(near, hint):
    found = judge_idle_variable("TFS_DEPLOY_UP_TIMOUT", near)
    assert (found.id, found.level) == ("environment.variables", Level.WARNING)
    assert found.detail == "TFS_DEPLOY_UP_TIMOUT sets no option"
    assert (found.hint or "").startswith(hint)
