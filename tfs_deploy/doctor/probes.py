# SPDX-License-Identifier: Apache-2.0
"""Probes of the Docker Engine, of GPUs and of stores: they may hang, so each has a timeout."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.doctor.facts import EngineFacts, Gpu, ModelStore, Refusal
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.host.posix import user_ids
from tfs_deploy.launch.docker.endpoint import USUAL_SOCKET, engine_endpoint
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from tfs_deploy.deployment.deployment import Model
    from tfs_deploy.doctor.facts import Wanted

_TIMEOUT: Final = 1.0
_SMI: Final = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")
_FRACTION: Final = re.compile(r"(\.\d{1,6})\d*")


def probe_engine(wanted: Wanted) -> EngineFacts:
    """Ask the engine that the other commands would use; whatever keeps it from answering is part of the result."""
    try:
        endpoint = engine_endpoint()
    except TfsDeployError as error:
        refusal = Refusal(error.message, error.hint)
        return EngineFacts(_has_sdk(), "unknown", "the docker context", socket=None, error=refusal)
    socket = endpoint.socket
    known: dict[str, Any] = {"sdk": _has_sdk(), "host": endpoint.host, "source": endpoint.source, "socket": socket}
    known["others"] = tuple(path for path in _other_sockets() if path != socket and _exists(path))
    if socket is not None:
        known |= {"socket_there": _exists(socket), "socket_allowed": os.access(socket, os.R_OK | os.W_OK)}
    if known["sdk"]:
        try:
            known |= _ask(wanted)
        except TfsDeployError as error:
            known["error"] = Refusal(error.message, error.hint)
        except OSError as error:
            known["error"] = Refusal(f"the engine cannot be reached: {error.strerror or error}")
    return EngineFacts(**known)


def probe_store(model: Model) -> ModelStore:
    """List the versions in the store of a model, with the credentials of the environment."""
    from tfs_deploy.store.places.opened import open_place
    from tfs_deploy.store.places.retry import Patience

    assert model.store is not None
    try:
        versions = open_place(model.store, Patience(attempts=2, silence=3.0)).versions()
    except TfsDeployError as error:
        return ModelStore(model.name, str(model.store), error=Refusal(error.message, error.hint))
    return ModelStore(model.name, str(model.store), len(versions))


def _has_sdk() -> bool:
    found = importlib.util.find_spec("docker")
    return found is not None and found.origin is not None  # a directory named docker is not the package


def _ask(wanted: Wanted) -> dict[str, Any]:
    from tfs_deploy.launch.docker.engine import DockerEngine, translated

    engine = DockerEngine(timeout=_TIMEOUT)
    try:
        before = time.time()
        with translated():
            about, info = engine.api.version(), engine.api.info()
        after = time.time()
        with translated():
            running = engine.api.containers()
        published = {
            int(bound["PublicPort"]): str(entry["Names"][0]).lstrip("/")
            for entry in running
            for bound in entry.get("Ports") or ()
            if bound.get("PublicPort")
        }
        parts = [str(part.get("Name", "")) for part in about.get("Components") or ()]
        return {
            "name": "Podman" if any("Podman" in part for part in parts) else "Docker Engine",
            "version": str(about.get("Version") or info.get("ServerVersion") or ""),
            "api": str(about.get("ApiVersion") or ""),
            "os": str(info.get("OSType") or "linux"),
            "architecture": engine.architecture,
            "rootless": engine.mapped,
            "runtimes": tuple(info.get("Runtimes") or ()),
            "root": str(info.get("DockerRootDir") or ""),
            "skew": skew(str(info.get("SystemTime") or ""), before, after),
            "image": None if wanted.image is None else engine.image_architecture(wanted.image),
            "published": published,
        }
    finally:
        engine.close()


def skew(said: str, before: float, after: float) -> float | None:
    """Return how far a clock is ahead that said ``said`` (RFC 3339) between two moments of this one; 0 within them."""
    try:
        when = datetime.fromisoformat(_FRACTION.sub(_six, said, count=1).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
    return when - after if when > after else min(0.0, when - before)


def _six(match: re.Match[str]) -> str:
    return f"{match[1]:0<7}"


def _other_sockets() -> list[str]:
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user_ids()[0]}"
    return [f"{runtime}/docker.sock", f"{runtime}/podman/podman.sock", USUAL_SOCKET, "/run/podman/podman.sock"]


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a directory on the way that this user may not look into
        return False


def probe_gpu() -> Gpu:
    """Ask nvidia-smi."""
    hook = shutil.which("nvidia-container-runtime-hook") is not None
    driver = _exists("/proc/driver/nvidia/version")
    if shutil.which(_SMI[0]) is None:
        return Gpu(command=False, driver=driver, container_hook=hook)
    try:
        done = subprocess.run(_SMI, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return Gpu(command=True, driver=driver, error=f"no answer in {_TIMEOUT:g} s", container_hook=hook)
    except OSError as error:
        return Gpu(command=True, driver=driver, error=error.strerror or str(error), container_hook=hook)
    lines = tuple(one_line(line) for line in done.stdout.splitlines() if line.strip())
    if done.returncode != 0 or not lines:
        output = (done.stdout + done.stderr).split("\n")
        reason = next((line.strip() for line in reversed(output) if line.strip()), f"exit code {done.returncode}")
        return Gpu(command=True, driver=driver, error=reason, container_hook=hook)
    return Gpu(command=True, driver=driver, devices=lines, container_hook=hook)
