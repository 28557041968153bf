# SPDX-License-Identifier: Apache-2.0
"""Judgements of the Docker Engine, its image and the GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment.image import Image
from tfs_deploy.doctor.finding import Finding, ok, problem, skipped, warning
from tfs_deploy.doctor.versions import release
from tfs_deploy.text import install_extra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfs_deploy.doctor.facts import EngineFacts, Gpu, Wanted

#: Docker 20.10, the first engine with this API, and the first Podman that can change a restart policy
_OLDEST_API: Final = (1, 41)
_WHOLE_PODMAN: Final = (5, 1)
#: the one processor that the official image is built for (tensorflow/serving on Docker Hub)
OFFICIAL: Final = "amd64"
_NEEDED: Final = "; the deployment file needs it"


def judge_containers(engine: EngineFacts, gpu: Gpu, wanted: Wanted, machine: str) -> Iterator[Finding]:
    """Yield the findings about containers; ``machine`` is this processor as images name it."""
    yield _socket(engine, wanted)
    yield _engine(engine, wanted)
    yield _present(engine, wanted)
    yield _architecture(engine, wanted, engine.architecture or machine)
    yield _driver(gpu, wanted)
    yield _gpu_containers(engine, gpu, wanted)


def _bad(wanted: Wanted) -> Callable[[str, str, str], Finding]:
    return problem if wanted.target == "docker" else warning


def _socket(engine: EngineFacts, wanted: Wanted) -> Finding:
    name = "docker.socket"
    if engine.socket is None:
        return skipped(name, f"{engine.source} is {engine.host}: not a socket on this machine")
    if engine.socket_there and engine.socket_allowed:
        return ok(name, f"{engine.socket}{f' ({engine.source})' if engine.source else ''}")
    if engine.socket_there:
        hint = "add the user to the group docker and log in again, or use a rootless engine"
        return _bad(wanted)(name, f"this user may not use {engine.socket}", hint)
    if engine.others:
        hint = f"export DOCKER_HOST=unix://{engine.others[0]}"
        return _bad(wanted)(name, f"{engine.socket} does not exist, but {engine.others[0]} does", hint)
    if engine.source:
        hint = "correct or unset DOCKER_HOST" if engine.source == "DOCKER_HOST" else "docker context use default"
        return _bad(wanted)(name, f"{engine.socket} ({engine.source}) does not exist", hint)
    detail = f"{engine.socket} does not exist: no Docker Engine on this machine"
    hint = "install Docker or Podman: containers need it, the embedded server does not"
    return problem(name, detail + _NEEDED, hint) if wanted.target == "docker" else skipped(name, detail, hint)


def _engine(engine: EngineFacts, wanted: Wanted) -> Finding:
    name = "docker.engine"
    if not engine.sdk:
        hint = install_extra("docker")
        detail = "not checked: the Python package docker is not installed"
        return problem(name, detail + _NEEDED, hint) if wanted.target == "docker" else skipped(name, detail, hint)
    if engine.error is not None:
        nothing = not engine.source and not engine.socket_there
        if nothing and wanted.target != "docker":
            return skipped(name, engine.error.message, engine.error.hint)
        return _bad(wanted)(name, engine.error.message, engine.error.hint or "docker info")
    kind = f"{engine.name} {engine.version}, API {engine.api}{', rootless' if engine.rootless else ''}"
    if engine.os != "linux":
        hint = "switch the engine to Linux containers"
        return _bad(wanted)(name, f"{kind} runs {engine.os} containers", hint)
    if release(engine.api) < _OLDEST_API:
        return _bad(wanted)(name, f"{kind}: too old, API 1.41 is needed", "upgrade to Docker 20.10 or newer")
    if "podman" in engine.name.lower() and release(engine.version)[:2] < _WHOLE_PODMAN:
        hint = "upgrade to Podman 5.1, or run `tfs-deploy up` again when a server has ended"
        return warning(name, f"{kind} cannot change a restart policy: a server that ends is not restarted", hint)
    return ok(name, kind)


def _present(engine: EngineFacts, wanted: Wanted) -> Finding:
    name = "image.present"
    if wanted.image is None:
        return skipped(name, "no deployment file with an image")
    if not engine.answers:
        return skipped(name, "the engine was not reached")
    if engine.image is not None:
        return ok(name, f"{wanted.image} is on this machine")
    if wanted.pull == "never":
        hint = f"docker pull {wanted.image}, docker load, or another server.docker.pull"
        return problem(name, f"{wanted.image} is not on this machine, and server.docker.pull is never", hint)
    hint = f"docker pull {wanted.image} fetches it beforehand"
    return warning(name, f"{wanted.image} is not on this machine: the first `up` has to pull it", hint)


def _architecture(engine: EngineFacts, wanted: Wanted, machine: str) -> Finding:
    name = "image.architecture"
    image = None if wanted.image is None else Image.parse(wanted.image)
    has, what = engine.image, wanted.image or "the official image"
    if has is None:
        if image is not None and not image.stock:
            return skipped(name, f"{what} is not on this machine")
        has, what = OFFICIAL, f"the official image{'' if image is None else f' {image}'}"
    if has == machine:
        return ok(name, f"{what} is for {has}, as is this machine")
    hint = f"server.docker.platform: linux/{has} runs it emulated and slowly; `docker/build` makes one for {machine}"
    if wanted.platform is not None:
        return warning(name, f"{what} is for {has}, but this machine is {machine}: it runs emulated and slowly", hint)
    judge = problem if wanted.target == "docker" else warning
    return judge(name, f"{what} is for {has}, but this machine is {machine}", hint)


def _driver(gpu: Gpu, wanted: Wanted) -> Finding:
    name = "gpu.driver"
    if gpu.devices:
        return ok(name, "; ".join(gpu.devices))
    if gpu.command and gpu.error is not None:
        hint = "run nvidia-smi by hand; after a driver upgrade the machine must be rebooted"
        return (problem if wanted.gpus else warning)(name, f"nvidia-smi fails: {gpu.error}", hint)
    if gpu.driver:
        return warning(name, "the NVIDIA driver is loaded, but nvidia-smi is not on the PATH", "install nvidia-utils")
    detail = "no NVIDIA GPU: no nvidia-smi on the PATH, no driver loaded"
    hint = "install the NVIDIA driver, or drop server.docker.gpus"
    return problem(name, detail + "; the deployment file asks for GPUs", hint) if wanted.gpus else skipped(name, detail)


def _gpu_containers(engine: EngineFacts, gpu: Gpu, wanted: Wanted) -> Finding:
    name = "gpu.containers"
    if not wanted.gpus and not gpu.devices:
        return skipped(name, "no GPU for a container")
    if not engine.answers:
        return skipped(name, "the engine was not reached")
    if "nvidia" in engine.runtimes:
        return ok(name, "the engine has the runtime nvidia")
    if gpu.container_hook:
        return ok(name, "nvidia-container-runtime-hook is installed")
    hint = "install the NVIDIA container toolkit, then: nvidia-ctk runtime configure; restart the engine"
    return (problem if wanted.gpus else warning)(name, "the engine cannot give GPUs to containers", hint)
