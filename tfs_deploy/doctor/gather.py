# SPDX-License-Identifier: Apache-2.0
"""Collect the facts: the one part of ``doctor`` that looks at the machine; it changes nothing."""

from __future__ import annotations

import ipaddress
import os
import platform
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment.access import unreadable
from tfs_deploy.deployment.certificates import validity
from tfs_deploy.doctor.facts import Certificate, Clock, Disk, Limits, MachineFacts, Port, TrustedKey, Wanted
from tfs_deploy.doctor.installed import installed_packages
from tfs_deploy.doctor.probes import probe_engine, probe_gpu, probe_store
from tfs_deploy.errors import PlatformError, PortInUseError, TfsDeployError
from tfs_deploy.host.posix import posix_module
from tfs_deploy.host.tcp_ports import find_listener, is_free, listening_addresses
from tfs_deploy.launch.docker.container import container_name
from tfs_deploy.launch.docker.engine import ARCHITECTURES
from tfs_deploy.launch.embedded.record import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.doctor.facts import EngineFacts

_DOCTOR: Final = "a machine that serves"
_STANDARD: Final = {"grpc_port": 8500, "rest_port": 8501}


def gather(deployment: Deployment | None = None) -> MachineFacts:
    """Return the facts about this machine; ``deployment`` says which ports, directories and image matter.

    The engine and nvidia-smi are queried at the same time, each for about a second at most.
    """
    posix_module("resource", _DOCTOR)
    wanted = _wanted(deployment)
    with ThreadPoolExecutor(2) as pool:
        asked, gpu = pool.submit(probe_engine, wanted), pool.submit(probe_gpu)
        packages = installed_packages()
        engine = asked.result()
        machine = platform.machine()
        return MachineFacts(
            wanted=wanted,
            packages=packages,
            system=platform.system(),
            machine=ARCHITECTURES.get(machine, machine),
            engine=engine,
            gpu=gpu.result(),
            ports=tuple(_ports(deployment, engine)),
            disks=tuple(_disks(deployment, engine)),
            certificates=tuple(_certificates(deployment)),
            stores=tuple(probe_store(model) for model in (deployment.models if deployment else ()) if model.store),
            trusted=tuple(_trusted_key(path) for path in (() if deployment is None else deployment.trust)),
            limits=_limits(),
            clock=_clock(_nearest(_state(deployment))),
        )


def _wanted(deployment: Deployment | None) -> Wanted:
    if deployment is None:
        return Wanted()
    docker = deployment.server.docker
    if deployment.server.target != "docker" or docker is None:
        return Wanted(deployment.server.target)
    return Wanted("docker", docker.image, docker.platform, docker.pull, docker.gpus is not None)


def _ports(deployment: Deployment | None, engine: EngineFacts) -> Iterator[Port]:
    server = None if deployment is None else running_server(deployment.state_dir)
    own = None if deployment is None else container_name(deployment)
    for key, standard in _STANDARD.items():
        number = standard if deployment is None else int(getattr(deployment.server, key))
        if not number:
            yield Port(key, 0, "free")
            continue
        try:
            free = is_free(number)
        except PortInUseError:
            yield Port(key, number, "forbidden")
            continue
        if free:
            yield Port(key, number, "free")
        elif (container := engine.published.get(number)) is not None:
            mine = own is not None and container.removesuffix("-next") == own
            yield Port(key, number, "taken", f"container {container}", own=mine, open_on=_open_on(deployment, number))
        else:
            holder = find_listener(number)
            mine = server is not None and holder is not None and holder.pid == server.pid
            opened = _open_on(deployment, number)
            yield Port(key, number, "taken", str(holder) if holder else None, own=mine, open_on=opened)


def _open_on(deployment: Deployment | None, port: int) -> tuple[str, ...]:
    asked = None if deployment is None else deployment.server.address
    found = {ipaddress.ip_address(text) for text in listening_addresses(port) if text != asked}
    return tuple(sorted(str(address) for address in found if not address.is_loopback))


def _state(deployment: Deployment | None) -> Path:
    return Path.cwd() if deployment is None else deployment.state_dir


def _disks(deployment: Deployment | None, engine: EngineFacts) -> Iterator[Disk]:
    yield _disk("state", _state(deployment))
    yield from () if deployment is None else _models(deployment, engine)
    try:
        yield _disk("tmp", Path(tempfile.gettempdir()))
    except OSError as error:
        yield Disk("tmp", os.environ.get("TMPDIR", "TMPDIR"), error=error.strerror or str(error))
    if engine.root and Path(engine.root).is_dir():
        yield _disk("docker", Path(engine.root), writable=True)


def _models(deployment: Deployment, engine: EngineFacts) -> Iterator[Disk]:
    found = {index: f"{who} may not read {path}" for index, path, who in unreadable(deployment, mapped=engine.rootless)}
    for index, model in enumerate(deployment.models):
        disk = _disk(f"models.{model.name}", model.base_path)
        yield disk if disk.error or not disk.readable else replace(disk, unreadable=found.get(index))


def _disk(name: str, path: Path, *, writable: bool | None = None) -> Disk:
    """Look at a directory; ``writable`` where another process writes there."""
    if not hasattr(os, "statvfs"):
        raise PlatformError(_DOCTOR)
    there = _nearest(path)
    try:
        room = os.statvfs(there)
    except OSError as error:
        return Disk(name, str(path), error=error.strerror or str(error))
    return Disk(
        name,
        str(there),
        free=room.f_bavail * room.f_frsize,
        files=room.f_favail if room.f_files else None,
        readable=writable or os.access(there, os.R_OK | os.X_OK),
        writable=writable or os.access(there, os.W_OK | os.X_OK),
    )


def _nearest(path: Path) -> Path:
    """Return a path, or its nearest parent that is there."""
    return next((each for each in (path, *path.parents) if os.path.lexists(each)), path)


def _certificates(deployment: Deployment | None) -> Iterator[Certificate]:
    section = None if deployment is None else deployment.ssl
    paths = {} if section is None else {"cert": section.cert, "client_cert": section.client_cert}
    for key, path in paths.items():
        if path is not None:
            yield Certificate(key, str(path), _seconds_left(path))


def _trusted_key(path: Path) -> TrustedKey:
    from tfs_deploy.store.signing.trust import open_trust

    try:
        trust = open_trust([path])
    except TfsDeployError as error:
        return TrustedKey(str(path), error.message, error.hint or "")
    ends = [certificate.not_valid_after_utc.timestamp() for certificate in trust.certificates]
    return TrustedKey(str(path), seconds=min(ends) - time.time() if ends else None)


def _seconds_left(path: Path) -> float | None:
    try:
        return validity(path)[1] - time.time()
    except (OSError, ValueError):  # SSLError is an OSError
        return None


def _limits() -> Limits:
    resource = posix_module("resource", _DOCTOR)
    soft, hard = (
        None if limit == resource.RLIM_INFINITY else limit for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    return Limits(soft, hard)


def _clock(directory: Path) -> Clock:
    first, second = time.monotonic(), time.monotonic()
    return Clock(
        now=time.time(),
        newest=Path(__file__).stat().st_mtime,
        monotonic=second >= first and time.get_clock_info("monotonic").monotonic,
        files=_file_skew(directory),
    )


def _file_skew(directory: Path) -> float | None:
    """Return how far the clock of a directory's file system is ahead: the time of a file that was just written."""
    try:
        before = time.time()
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            file.write(b"\0")
            when, after = os.fstat(file.fileno()).st_mtime, time.time()
    except OSError:
        return None
    return when - after if when > after else min(0.0, when - before)
