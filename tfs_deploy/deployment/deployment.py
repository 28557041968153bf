# SPDX-License-Identifier: Apache-2.0
"""A deployment as plain values: which models one server serves, and how it is started.

``deployment.file.load_deployment`` reads and checks them; a program may also make them itself. The sections of the file
(``deployment.file.schema``) take over the fields here, and limit each key by the metadata of its field.
"""

from __future__ import annotations

import os.path
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from tfs_deploy.deployment.docker import COUNT, MODELS_DIR, Docker
from tfs_deploy.deployment.flags import FlagValue  # noqa: TC001 - schema looks at it
from tfs_deploy.host.addresses import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tfs_deploy.deployment.address import Address

#: where servers run; each has its launch target (launch/targets.py)
TargetName = Literal["embedded", "docker"]
#: the targets whose servers find models and config where a container has them, not where this machine does
_CONTAINERS: Final = frozenset({"docker"})
PolicyKind = Literal["latest", "all", "specific"]

#: what holds the state directories, beside the deployment file: config, log, lock and records of its server
STATE_FOLDER = ".tfs-deploy"
#: what a REST path can address between its slashes and colons (http_rest_api_handler.cc), without quoting
REST_NAME = re.compile(r"[A-Za-z0-9_.\-]+")


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Which versions found on disk are served: the ``count`` newest, all, or exactly ``versions``."""

    kind: PolicyKind = "latest"
    count: int = 1
    versions: tuple[int, ...] = ()

    @classmethod
    def latest(cls, count: int = 1) -> VersionPolicy:
        """Serve the ``count`` highest numbers on disk."""
        return cls("latest", count)

    @classmethod
    def all(cls) -> VersionPolicy:
        """Serve every number on disk."""
        return cls("all")

    @classmethod
    def specific(cls, versions: Iterable[int]) -> VersionPolicy:
        """Serve these numbers, and no other."""
        return cls("specific", versions=tuple(sorted(set(versions))))

    def select(self, on_disk: Collection[int]) -> list[int]:
        """Return the versions that the server serves out of those on disk, ascending."""
        found = sorted(set(on_disk))
        if self.kind == "specific":
            return [version for version in found if version in self.versions]
        return found if self.kind == "all" else found[-self.count :]

    def __str__(self) -> str:
        if self.kind == "specific":
            return f"specific {', '.join(map(str, self.versions))}"
        return "all" if self.kind == "all" else f"latest {self.count}"


@dataclass(frozen=True, slots=True)
class Model:
    """One served model; ``base_path`` is absolute, ``labels`` map to versions, ``traffic`` to percent.

    ``store`` is the place that ``pull`` gets its versions from.
    """

    name: str
    base_path: Path
    version_policy: VersionPolicy = field(default_factory=VersionPolicy)
    labels: dict[str, int] = field(default_factory=dict)
    traffic: dict[str, float] = field(default_factory=dict)
    store: Address | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedded server's own settings: the IP ``address`` it listens on, and whether clients of other machines may
    replace its config (``remote_reload``).
    """

    address: str = LOOPBACK
    remote_reload: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """How the server is started; ``rest_port`` 0 means no REST, ``flags`` go to the server as they are.

    ``alternate_ports`` (gRPC, REST) are a second pair, so that a server can be replaced without a gap;
    ``session_config`` and ``platform_config`` are files with a ConfigProto and a PlatformConfigMap in text format;
    ``op_libraries`` are shared libraries with custom ops, which the embedded server loads and an image has linked in.
    """

    target: TargetName = "embedded"
    grpc_port: int = 8500
    rest_port: int = 8501
    flags: dict[str, FlagValue] = field(default_factory=dict)
    alternate_ports: tuple[int, int] | None = None
    session_config: Path | None = None
    platform_config: Path | None = None
    op_libraries: tuple[Path, ...] = ()
    embedded: Embedded | None = None
    docker: Docker | None = None

    @property
    def address(self) -> str:
        """The IP address that its ports are opened on, whatever runs it."""
        section = self.docker if self.contained else self.embedded
        return LOOPBACK if section is None else section.address

    @property
    def contained(self) -> bool:
        """Whether the server runs in a container: its paths and ports inside are always the same."""
        return self.target in _CONTAINERS


@dataclass(frozen=True, slots=True)
class Batching:
    """Parameters of request batching; None leaves one to the server (session_bundle_config.proto)."""

    max_batch_size: int | None = field(default=None, metadata=COUNT)
    batch_timeout_micros: int | None = field(default=None, metadata={"ge": 0, "lt": 2**63})
    max_enqueued_batches: int | None = field(default=None, metadata=COUNT)
    num_batch_threads: int | None = field(default=None, metadata=COUNT)
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool | None = None
    enable_large_batch_splitting: bool | None = None
    max_execution_batch_size: int | None = field(default=None, metadata=COUNT)


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Prometheus metrics on the REST port."""

    prometheus: bool = True
    path: str = "/monitoring/prometheus/metrics"


@dataclass(frozen=True, slots=True)
class Ssl:
    """TLS on the gRPC port: paths of PEM files; with ``client_verify`` clients need a certificate of ``ca``.

    ``client_key`` and ``client_cert`` are what the toolkit's own commands present then, by default the server's pair.
    """

    key: Path
    cert: Path
    ca: Path | None = None
    client_verify: bool = False
    client_key: Path | None = None
    client_cert: Path | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One server with its models; ``source`` is the file it came from, ``state_dir`` where its state is kept.

    ``trust``: PEM files; with any, only versions that one of these keys signed are served. ``revoked``: digests of
    versions that are not.
    """

    name: str
    source: Path
    state_dir: Path
    models: tuple[Model, ...]
    server: Server = field(default_factory=Server)
    batching: Batching | None = None
    monitoring: Monitoring | None = None
    ssl: Ssl | None = None
    trust: tuple[Path, ...] = ()
    revoked: tuple[str, ...] = ()

    @property
    def config_dir(self) -> Path:
        """The directory of the files that the server reads."""
        return self.state_dir / "config"

    def served_path(self, model: Model) -> Path:
        """Return a model's base path as the server sees it: in a container models lie under ``/models``."""
        return MODELS_DIR / model.name if self.server.contained else model.base_path

    def model(self, name: str) -> Model:
        """Return the model of that name; ``KeyError`` if there is none."""
        return next(model for model in self.models if model.name == name)


def state_dir_of(source: Path, name: str, *, place: str | None = None) -> Path:
    """Return the state directory of deployment ``name``, read from file ``source``.

    ``place`` is the directory that holds it, relative to the file's.
    """
    return Path(os.path.normpath(source.parent / (place or STATE_FOLDER))) / name


def command_arguments(deployment: Deployment, model: str) -> str:
    """Return by what a rollout command finds a model: the deployment's file, and ``--model`` where that has several."""
    several = len(deployment.models) > 1
    return f"{deployment.source} --model {shlex.quote(model)}" if several else str(deployment.source)


def canonical(model: Model) -> dict[str, Any]:
    """Return everything a model says, as JSON values in a fixed order."""
    policy = model.version_policy
    return {
        "name": model.name,
        "base_path": str(model.base_path),
        "policy": {"kind": policy.kind, "count": policy.count, "versions": list(policy.versions)},
        "labels": dict(sorted(model.labels.items())),
        "traffic": {label: float(share) for label, share in sorted(model.traffic.items())},
    }
