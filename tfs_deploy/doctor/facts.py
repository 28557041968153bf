# SPDX-License-Identifier: Apache-2.0
"""The facts that ``doctor`` judges, as plain values; ``gather`` collects them, the judges only read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tfs_deploy.deployment.deployment import TargetName

PortState = Literal["free", "taken", "forbidden"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a deployment file asks for; without a file there is no ``target``."""

    target: TargetName | None = None
    image: str | None = None
    platform: str | None = None
    pull: str = "missing"
    gpus: bool = False


@dataclass(frozen=True, slots=True)
class Packages:
    """Python and what is installed; versions by normalised name, ``tensorflow`` whichever build brings it.

    ``namesake`` is version and summary of the distribution ``tfs-deploy``, None where it is not installed.
    ``own`` are the ``Requires-Dist`` lines of tfs-deploy (None: it runs from a source tree), ``requires`` those of
    its direct dependencies. ``gencode`` is the protobuf release that generated a package's messages.
    """

    python: str
    installed: Mapping[str, str]
    own: tuple[str, ...] | None = ()
    requires_python: str | None = None
    namesake: str | None = None
    extras: tuple[str, ...] = ()
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gencode: Mapping[str, str] = field(default_factory=dict)
    tensorflow_builds: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something did not work, and what to do."""

    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The Docker Engine, Podman's service included.

    ``host`` is its URL, ``source`` what names it (DOCKER_HOST, a context), empty for the usual socket; ``socket`` is
    the path of its socket, None for TCP; ``others`` are sockets of other engines, which were not queried. What follows
    ``error`` is known only without one. ``skew`` is the engine's clock minus this one in seconds, ``image`` the
    architecture of the file's image, None if it is not here.
    """

    sdk: bool
    host: str = ""
    source: str = ""
    socket: str | None = "/var/run/docker.sock"
    socket_there: bool = False
    socket_allowed: bool = False
    others: tuple[str, ...] = ()
    error: Refusal | None = None
    name: str = "Docker Engine"
    version: str = ""
    api: str = ""
    os: str = "linux"
    architecture: str = ""
    rootless: bool = False
    runtimes: tuple[str, ...] = ()
    root: str = ""
    skew: float | None = None
    image: str | None = None
    published: Mapping[int, str] = field(default_factory=dict)

    @property
    def answers(self) -> bool:
        """Whether the engine was queried and answered."""
        return self.sdk and self.error is None


@dataclass(frozen=True, slots=True)
class Gpu:
    """``devices`` as nvidia-smi lists them; ``driver`` tells whether the kernel's is loaded."""

    command: bool
    driver: bool
    devices: tuple[str, ...] = ()
    error: str | None = None
    container_hook: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """``holder`` is a process or container, ``own`` whether it is this deployment's server; ``key`` is in the file.

    ``open_on`` are the addresses that other machines reach, and that the file does not ask for.
    """

    key: str
    number: int
    state: PortState
    holder: str | None = None
    own: bool = False
    open_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Disk:
    """Room at ``path`` or, where that is not made yet, at its nearest parent; bytes and files that can be added.

    ``unreadable`` says who may not read what of a model in it.
    """

    name: str
    path: str
    free: int = 0
    files: int | None = None
    readable: bool = True
    writable: bool = True
    unreadable: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that the section ``ssl`` names by ``key``: ``seconds`` until it expires, None if unreadable."""

    key: str
    path: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class ModelStore:
    """The ``store`` of a model: how many versions it lists, or why it does not."""

    model: str
    address: str
    versions: int = 0
    error: Refusal | None = None


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A file under ``trust``: what is wrong with it, and ``seconds`` until its first certificate expires, if any."""

    path: str
    problem: str | None = None
    hint: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """RLIMIT_NOFILE; None is unlimited."""

    soft: int | None
    hard: int | None


@dataclass(frozen=True, slots=True)
class Clock:
    """``now`` in Unix time, ``newest`` the time stamp of the installed package, ``files`` a new file's minus now."""

    now: float
    newest: float
    monotonic: bool = True
    files: float | None = None


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """All facts about one machine."""

    wanted: Wanted
    packages: Packages
    system: str
    machine: str
    engine: EngineFacts
    gpu: Gpu
    ports: tuple[Port, ...]
    disks: tuple[Disk, ...]
    certificates: tuple[Certificate, ...]
    limits: Limits
    clock: Clock
    #: variables that were meant for an option and set none, each with the closest that does
    idle_variables: tuple[tuple[str, str | None], ...] = ()
    stores: tuple[ModelStore, ...] = ()
    trusted: tuple[TrustedKey, ...] = ()
