"""The keys of a deployment file, their types and ranges. configs/reference.yaml explains them.

Only what one key can show by itself is checked here; ``checks`` looks at how the keys fit together.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from tfs_deploy.deployment.deployment import TargetName  # noqa: TC001 - pydantic looks at it
from tfs_deploy.deployment.docker import Pull, Restart  # noqa: TC001 - pydantic looks at them

#: version directories are int64 numbers; REST paths address only those without a sign (http_rest_api_handler.cc)
Version = Annotated[int, Field(ge=0, lt=2**63)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """A mapping of the file: no unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class VersionsSection(Section):
    """``latest``, ``all``, ``{latest: N}`` or ``{specific: [N, ...]}``."""

    latest: Count | None = None
    all: Literal[True] | None = None
    specific: Annotated[list[Version], Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_policy(cls, value: Any) -> Any:
        if value == "latest":
            return {"latest": 1}
        if value == "all":
            return {"all": True}
        if isinstance(value, dict) and len(value.keys() & {"latest", "specific"}) == 1 and "all" not in value:
            return value
        if isinstance(value, dict) and value.keys() - cls.model_fields.keys():
            return value  # an unknown key is the better complaint
        raise PydanticCustomError("versions", "{problem}", {"problem": _versions_problem(value)})


def _versions_problem(value: Any) -> str:
    forms = "latest, all, {latest: N} or {specific: [N, ...]}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"must be {forms}; for one version write {{specific: [{value}]}}"
    if isinstance(value, list):
        return f"must be {forms}; for these versions write {{specific: [{', '.join(map(str, value))}]}}"
    return f"must be one of {forms}"


class ModelSection(Section):
    """One served model."""

    name: str
    base_path: str
    versions: VersionsSection = VersionsSection(latest=1)
    labels: dict[str, Version] = {}
    traffic: dict[str, Percent] = {}


class AlternatePortsSection(Section):
    """The second pair of ports."""

    grpc_port: Port
    rest_port: Port


class MountSection(Section):
    """One more mount of a container."""

    source: str
    target: str
    read_only: bool = True


class DockerSection(Section):
    """The container that the server runs in."""

    image: str
    serving_version: str | None = None
    address: str = "127.0.0.1"
    user: str | None = None
    memory: str | None = None
    cpus: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    gpus: Any = None
    env: dict[str, str] = {}
    mounts: list[MountSection] = []
    restart: Restart = "unless-stopped"
    log_max_size: str = "10m"
    log_max_files: Count = 3
    pull: Pull = "missing"
    platform: str | None = None


class ServerSection(Section):
    """The server and how it is started."""

    target: TargetName = "embedded"
    grpc_port: Port = 8500
    rest_port: Annotated[int, Field(ge=0, le=65535)] = 8501
    flags: dict[str, Any] = {}
    alternate_ports: AlternatePortsSection | None = None
    session_config: str | None = None
    platform_config: str | None = None
    docker: DockerSection | None = None


class BatchingSection(Section):
    """Request batching; a key that is left out is the server's choice."""

    max_batch_size: Count | None = None
    batch_timeout_micros: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    max_enqueued_batches: Count | None = None
    num_batch_threads: Count | None = None
    allowed_batch_sizes: list[Count] = []
    pad_variable_length_inputs: bool | None = None
    enable_large_batch_splitting: bool | None = None
    max_execution_batch_size: Count | None = None


class MonitoringSection(Section):
    """Prometheus metrics."""

    prometheus: bool = True
    path: str = "/monitoring/prometheus/metrics"


class SslSection(Section):
    """TLS on the gRPC port."""

    key: str
    cert: str
    ca: str | None = None
    client_verify: bool = False


class DeploymentFile(Section):
    """The whole file."""

    name: str
    server: ServerSection = ServerSection()
    models: Annotated[list[ModelSection], Field(min_length=1)]
    batching: BatchingSection | None = None
    monitoring: MonitoringSection | None = None
    ssl: SslSection | None = None
    state: str | None = None


#: path without list positions -> the section there
SECTIONS: dict[tuple[str, ...], type[Section]] = {
    (): DeploymentFile,
    ("server",): ServerSection,
    ("server", "alternate_ports"): AlternatePortsSection,
    ("server", "docker"): DockerSection,
    ("server", "docker", "mounts"): MountSection,
    ("models",): ModelSection,
    ("models", "versions"): VersionsSection,
    ("batching",): BatchingSection,
    ("monitoring",): MonitoringSection,
    ("ssl",): SslSection,
}
