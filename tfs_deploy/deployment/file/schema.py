# SPDX-License-Identifier: Apache-2.0
"""The keys of a deployment file, their types and ranges. configs/reference.yaml explains them.

A section ``of`` a value has the value's fields as keys, with their types, limits and defaults. What the file writes in
another form, or what ``checks`` reads, is declared here again. Nothing but what one key can show by itself is checked
here; ``checks`` looks at how the keys fit together. The forms of texts are only told to editors (``json_schema``):
``checks`` and ``container`` refuse other texts in their own words.
"""

from __future__ import annotations

import dataclasses
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model, model_validator
from pydantic_core import PydanticCustomError

from tfs_deploy.deployment.deployment import REST_NAME, Batching, Embedded, Monitoring, Server, Ssl, TargetName
from tfs_deploy.deployment.docker import Docker, Mount
from tfs_deploy.deployment.file.text_values import DIGEST, LOG_SIZE, NETWORK, PLATFORM, RELEASE, SIZE, USER
from tfs_deploy.host.addresses import LOOPBACK

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema


def _form(form: re.Pattern[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^({form.pattern})$"})


#: version directories are int64 numbers; REST paths address only those without a sign (http_rest_api_handler.cc)
Version = Annotated[int, Field(ge=0, lt=2**63)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Port = Annotated[int, Field(ge=1, le=65535)]
#: of a deployment or a model
Name = Annotated[str, WithJsonSchema({"type": "string", "pattern": rf"^(?=.{{1,100}}$){REST_NAME.pattern}$"})]
Directory = Annotated[str, WithJsonSchema({"type": "string", "minLength": 1})]
Store = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "pattern": "^(([Ss]3|[Gg][Ss]|[Aa][Zz]|[Oo][Cc][Ii])://|[Mm][Ll][Ff][Ll][Oo][Ww]:models/)."}
    ),
]
Digest = Annotated[str, _form(DIGEST)]
Size = Annotated[str, _form(SIZE)]
Gpus = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["all"]},
                {"type": "integer", "minimum": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ]
        }
    ),
]


class Section(BaseModel):
    """A mapping of the file: no unknown keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


S = TypeVar("S", bound=Section)


def of(values: type) -> Callable[[type[S]], type[S]]:
    """Return a decorator that gives a section a key for every field of the dataclass ``values``, in that order.

    The field's metadata are the limits of its value, as pydantic's ``Field`` takes them.
    """

    def complete(section: type[S]) -> type[S]:
        keys: dict[str, Any] = {}
        for field, hint in zip(dataclasses.fields(values), get_type_hints(values).values(), strict=True):
            declared = section.model_fields.get(field.name)
            if declared is not None:
                keys[field.name] = (declared.rebuild_annotation(), ... if declared.is_required() else declared.default)
            else:
                keys[field.name] = (_limited(hint, field.metadata), _default(field))
        made = create_model(
            section.__name__, __base__=Section, __module__=section.__module__, __doc__=section.__doc__, **keys
        )
        return cast("type[S]", made)

    return complete


def _limited(hint: Any, limits: Any) -> Any:
    if not limits:
        return hint
    if NoneType not in get_args(hint):
        return Annotated[hint, Field(**limits)]
    (kind,) = (part for part in get_args(hint) if part is not NoneType)
    return Annotated[kind, Field(**limits)] | None


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return Field(default_factory=field.default_factory)
    return ... if field.default is dataclasses.MISSING else field.default


class VersionsSection(Section):
    """``latest``, ``all``, ``{latest: N}`` or ``{specific: [N, ...]}``."""

    latest: Count | None = None
    all: Literal[True] | None = None
    specific: Annotated[list[Version], Field(min_length=1)] | None = None

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Describe the forms in which the file writes a policy."""
        keys = handler.resolve_ref_schema(handler(core))["properties"]
        forms = [
            {"type": "object", "properties": {key: keys[key]}, "required": [key], "additionalProperties": False}
            for key in ("latest", "specific")
        ]
        return {"anyOf": [{"enum": ["latest", "all"]}, *forms]}

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

    name: Name
    base_path: Directory
    store: Store | None = None
    versions: VersionsSection = VersionsSection(latest=1)
    labels: dict[str, Version] = {}
    traffic: dict[str, Percent] = {}


class AlternatePortsSection(Section):
    """The second pair of ports."""

    grpc_port: Port
    rest_port: Port


@of(Mount)
class MountSection(Section):
    """One more mount of a container."""

    source: str
    target: str
    read_only: bool = True


@of(Embedded)
class EmbeddedSection(Section):
    """The embedded server's own settings."""

    address: str = LOOPBACK


@of(Docker)
class DockerSection(Section):
    """The container that the server runs in."""

    image: str
    serving_version: Annotated[str, _form(RELEASE)] | None = None
    user: Annotated[str, _form(USER)] | None = None
    memory: Size | None = None
    gpus: Gpus = None
    env: dict[str, str] = {}
    mounts: list[MountSection] = []
    log_max_size: Annotated[str, _form(LOG_SIZE)] = "10m"
    platform: Annotated[str, _form(PLATFORM)] | None = None
    networks: list[Annotated[str, _form(NETWORK)]] = []
    labels: dict[str, str] = {}
    shm_size: Size | None = None


@of(Server)
class ServerSection(Section):
    """The server and how it is started."""

    target: TargetName = "embedded"
    grpc_port: Port = 8500
    rest_port: Annotated[int, Field(ge=0, le=65535)] = 8501
    flags: dict[str, Any] = {}
    alternate_ports: AlternatePortsSection | None = None
    session_config: str | None = None
    platform_config: str | None = None
    op_libraries: list[str] = []
    embedded: EmbeddedSection | None = None
    docker: DockerSection | None = None


@of(Batching)
class BatchingSection(Section):
    """Request batching; a key that is left out is the server's choice."""

    allowed_batch_sizes: list[Count] = []


@of(Monitoring)
class MonitoringSection(Section):
    """Prometheus metrics."""

    path: Annotated[str, WithJsonSchema({"type": "string", "pattern": "^/"})] = "/monitoring/prometheus/metrics"


@of(Ssl)
class SslSection(Section):
    """TLS on the gRPC port."""

    key: str
    cert: str
    ca: str | None = None
    client_verify: bool = False
    client_key: str | None = None
    client_cert: str | None = None


class DeploymentFile(Section):
    """The whole file."""

    name: Name
    server: ServerSection = ServerSection()
    models: Annotated[list[ModelSection], Field(min_length=1)]
    batching: BatchingSection | None = None
    monitoring: MonitoringSection | None = None
    ssl: SslSection | None = None
    trust: Annotated[list[str], Field(min_length=1)] | None = None
    revoked: list[Digest] = []
    state: Directory | None = None


#: path without list positions -> the section there
SECTIONS: dict[tuple[str, ...], type[Section]] = {
    (): DeploymentFile,
    ("server",): ServerSection,
    ("server", "alternate_ports"): AlternatePortsSection,
    ("server", "embedded"): EmbeddedSection,
    ("server", "docker"): DockerSection,
    ("server", "docker", "mounts"): MountSection,
    ("models",): ModelSection,
    ("models", "versions"): VersionsSection,
    ("batching",): BatchingSection,
    ("monitoring",): MonitoringSection,
    ("ssl",): SslSection,
}
