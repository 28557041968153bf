# SPDX-License-Identifier: Apache-2.0
"""The Docker Engine behind the docker SDK: where its errors become ours, and nothing else of it gets out."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.deployment.image import Image
from tfs_deploy.errors import EnvironmentFault, LaunchError, PortInUseError, TfsDeployError, UsageError
from tfs_deploy.extras import import_extra
from tfs_deploy.launch.docker.endpoint import engine_endpoint
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfs_deploy.deployment.docker import Docker

#: seconds that the engine may take for one answer; starting a container with many mounts is the slowest
_TIMEOUT: Final = 60
#: what the engine and Go call processors -> what images call them
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def image_not_here(docker: Docker) -> EnvironmentFault:
    """Return the error about an image that is not here and may not be pulled."""
    return EnvironmentFault(
        f"image {docker.image} is not on this machine",
        hint=f"server.docker.pull is never: run docker pull {docker.image}, or change it",
    )


class DockerEngine:
    """A connection to the engine of this machine that the docker command would use, see ``engine_endpoint``."""

    def __init__(self, *, timeout: float = _TIMEOUT) -> None:
        sdk = import_extra("docker", "docker")
        endpoint = engine_endpoint()
        endpoint.require_local()
        with translated():
            # of a socket of a context the SDK knows since 7.2 only; the rest it reads from the environment itself
            by_context = endpoint.source not in ("", "DOCKER_HOST") and endpoint.socket is not None
            found = {"base_url": endpoint.host} if by_context else sdk.utils.kwargs_from_env()
            #: the SDK's low-level client; use it inside ``translated`` only
            self.api: Any = _without_proxies(sdk)(timeout=timeout, **found)
            self._info: dict[str, Any] = self.api.info()

    def close(self) -> None:
        """Close the connection."""
        self.api.close()

    @property
    def mapped(self) -> bool:
        """Whether users inside are not those outside: a rootless engine, Docker's or Podman's."""
        options = " ".join(self._info.get("SecurityOptions") or [])
        return "name=rootless" in options or bool(self._info.get("Rootless"))

    @property
    def architecture(self) -> str:
        """The processor as images name it."""
        name = str(self._info.get("Architecture", ""))
        return ARCHITECTURES.get(name, name)

    def require_image(self, docker: Docker, progress: Callable[[str, int, int], None] | None = None) -> str:
        """Return the id of the image, pulled if it is to be; ``progress`` gets (what, bytes done, bytes in all).

        Raises:
            EnvironmentFault: it is not here and cannot be pulled; the message says what the registry answered.
            UsageError: it is for another processor.
        """
        found = None if docker.pull == "always" else self._image(docker.image)
        if found is None:
            if docker.pull == "never":
                raise image_not_here(docker)
            self._pull(docker, progress or (lambda *_: None))
            found = self._image(docker.image)
        if found is None:
            raise EnvironmentFault(f"image {docker.image} was pulled but cannot be found", retriable=True)
        _require_architecture(docker, str(found.get("Architecture", "")), self.architecture)
        return str(found["Id"])

    def image_id(self, name: str) -> str | None:
        """Return the id of an image of this machine, None if it is not here."""
        found = self._image(name)
        return None if found is None else str(found["Id"])

    def image_architecture(self, name: str) -> str | None:
        """Return the processor that an image of this machine is for, None if the image is not here."""
        found = self._image(name)
        return None if found is None else str(found.get("Architecture", ""))

    def restarts(self, container: str, policy: dict[str, Any]) -> bool:
        """Change a container's restart policy; False from an engine that cannot (Podman before 5.1)."""
        from docker.errors import NotFound

        with translated():
            try:
                self.api.update_container(container, restart_policy=policy)
            except NotFound:
                self.api.inspect_container(container)  # an error if it is the container that is not there
                return False
            return True

    def _image(self, name: str) -> dict[str, Any] | None:
        from docker.errors import ImageNotFound

        with translated():
            try:
                found: dict[str, Any] = self.api.inspect_image(name)
            except ImageNotFound:
                return None
            return found

    def _pull(self, docker: Docker, progress: Callable[[str, int, int], None]) -> None:
        image = Image.parse(docker.image) or Image(docker.image)
        layers: dict[str, tuple[int, int]] = {}
        with translated(refusal=lambda said: pull_error(docker.image, said)):
            tag = image.digest or image.tag or "latest"
            for event in self.api.pull(image.repository, tag=tag, platform=docker.platform, stream=True, decode=True):
                if "error" in event:
                    raise pull_error(docker.image, str(event["error"]))
                detail = event.get("progressDetail") or {}
                if event.get("status") == "Downloading" and "total" in detail:
                    layers[event["id"]] = (int(detail["current"]), int(detail["total"]))
                progress(
                    f"pulling {docker.image}", sum(a for a, _ in layers.values()), sum(b for _, b in layers.values())
                )


def _without_proxies(sdk: Any) -> Any:
    """Return the SDK's client as one that never takes a proxy to the engine, which is always on this machine.

    It is a ``requests.Session``, which would heed ``http_proxy`` for an engine at tcp://127.0.0.1, and calls the engine
    before its maker can tell it not to.
    """

    class LocalClient(sdk.APIClient):  # type: ignore[misc]
        trust_env = property(lambda _: False, lambda *_: None)

    return LocalClient


def pull_error(image: str, said: str) -> TfsDeployError:
    """Explain why an image could not be pulled, out of what the engine says."""
    text = one_line(said)
    if re.search(r"not found|manifest unknown|does not exist", text, re.IGNORECASE) and "no such host" not in text:
        return UsageError(f"no registry has image {image}: {text}", hint="check server.docker.image, its tag above all")
    if re.search(r"denied|unauthorized|authentication", text, re.IGNORECASE):
        return EnvironmentFault(f"the registry refused image {image}: {text}", hint="docker login, or check its name")
    if re.search(r"no matching manifest", text):
        hint = "the official image is for amd64: server.docker.platform: linux/amd64 runs it emulated"
        return UsageError(f"image {image} does not exist for this machine's processor: {text}", hint=hint)
    if "no space left" in text:
        return EnvironmentFault(f"image {image} does not fit on the disk: {text}", hint="docker system df")
    return EnvironmentFault(
        f"the registry of {image} cannot be reached: {text}",
        hint="check the network; or bring the image here by hand: docker load -i FILE",
        retriable=True,
    )


def _require_architecture(docker: Docker, has: str, wants: str) -> None:
    if docker.platform is None and has and wants and has != wants:
        raise UsageError(
            f"image {docker.image} is for {has}, but this machine is {wants}",
            hint=f"server.docker.platform: linux/{has} runs it emulated, and slowly",
        )


@contextlib.contextmanager
def translated(*, refusal: Callable[[str], TfsDeployError] | None = None) -> Iterator[None]:
    """Turn whatever the SDK raises into an error of ours; ``refusal`` explains what the engine says no to."""
    import requests
    from docker.errors import APIError, DockerException, StreamParseError

    try:
        yield
    except APIError as error:
        said = one_line(str(error.explanation or error))
        raise (refusal(said) if refusal is not None else _refusal(said, server=error.is_server_error())) from error
    except (DockerException, StreamParseError, requests.RequestException) as error:
        raise _unreachable(error) from error


def _refusal(said: str, *, server: bool) -> TfsDeployError:
    if "port is already allocated" in said or "address already in use" in said:
        return PortInUseError(f"the engine cannot publish a port: {said}", hint="choose another port in the file")
    if re.search(r"network \S+ not found", said):
        hint = "docker network create NAME; server.docker.networks names it"
        return UsageError(f"the container cannot join its network: {said}", hint=hint)
    if "could not select device driver" in said or "nvidia" in said.lower():
        hint = "install the NVIDIA container toolkit, or drop server.docker.gpus"
        return EnvironmentFault(f"the engine has no GPUs for containers: {said}", hint=hint)
    if "container-init" in said:
        hint = "Podman's init process is a package of its own: apt install catatonit"
        return EnvironmentFault(f"the container cannot start: {said}", hint=hint)
    if "executable file not found" in said or "no such file or directory" in said.lower():
        hint = "is this an image of TensorFlow Serving? its binary is /usr/bin/tensorflow_model_server"
        return LaunchError(f"the container cannot start: {said}", hint=hint)
    return EnvironmentFault(f"the Docker Engine refused: {said}", retriable=server)


def _unreachable(error: BaseException) -> EnvironmentFault:
    said = str(error)
    if "Permission" in said or "Errno 13" in said:
        return EnvironmentFault(
            "this user may not use the Docker Engine's socket",
            hint="add the user to the group docker and log in again, or use a rootless engine",
        )
    if "timed out" in said.lower():
        return EnvironmentFault("the Docker Engine does not answer", hint="docker info", retriable=True)
    if re.search(r"RemoteDisconnected|ConnectionReset|BrokenPipe|IncompleteRead|InvalidChunk", said):
        hint = "look at its log (journalctl -u docker), then run the command again: it cleans up first"
        return EnvironmentFault("the connection to the Docker Engine broke", hint=hint, retriable=True)
    endpoint = engine_endpoint()
    named = f" ({endpoint.source})" if endpoint.source else ""
    return EnvironmentFault(
        f"no Docker Engine answers at {endpoint.place}{named}",
        hint="start it (systemctl start docker), or set DOCKER_HOST (Podman: systemctl --user start podman.socket)",
        retriable=True,
    )
