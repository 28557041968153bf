# SPDX-License-Identifier: Apache-2.0
"""How the keys of a deployment file fit together, as far as the file alone can tell."""

from __future__ import annotations

import os.path
from typing import TYPE_CHECKING

from tfs_deploy.deployment.address import is_remote, parse_address
from tfs_deploy.deployment.batching_rules import check_batching
from tfs_deploy.deployment.deployment import REST_NAME
from tfs_deploy.deployment.file.container import check_container, is_stock, release_of_server
from tfs_deploy.deployment.file.conversion import to_batching
from tfs_deploy.deployment.file.messages import did_you_mean, shown
from tfs_deploy.deployment.file.text_values import DIGEST
from tfs_deploy.deployment.flags import DERIVED_FLAGS, check_flag
from tfs_deploy.errors import UsageError
from tfs_deploy.host.addresses import is_ip_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfs_deploy.deployment.file.schema import DeploymentFile, ModelSection, ServerSection
    from tfs_deploy.deployment.file.yaml_reader import KeyPath

    Finding = tuple[KeyPath, str]

#: tolerance of a sum of percentages such as 33.3 + 33.3 + 33.4
_SUM_TOLERANCE = 1e-6
_LONGEST_NAME = 100
#: batching keys that are judged together, so all of them must be known
_BATCH_SIZES = (
    (),
    ("max_batch_size",),
    ("allowed_batch_sizes",),
    ("enable_large_batch_splitting",),
    ("max_execution_batch_size",),
)


def check_file(
    file: DeploymentFile, unknown: set[KeyPath], line: Callable[[KeyPath], int], *, allow_latest: bool
) -> Iterator[Finding]:
    """Yield what does not fit; paths in ``unknown`` hold stand-ins for values that were refused already."""
    if ("name",) not in unknown:
        yield from _check_name(("name",), file.name)
    if ("server",) not in unknown:
        yield from _check_ports(file.server, unknown)
    yield from _check_embedded(file.server, unknown)
    yield from check_container(file.server, unknown, allow_latest=allow_latest)
    yield from _check_flags(file.server)
    yield from _check_models(file, unknown, line)
    if file.batching is not None and not any(
        path[:1] == ("batching",) and path[1:2] in _BATCH_SIZES for path in unknown
    ):
        for key, message in check_batching(to_batching(file.batching)):
            yield ("batching", key), message
    if file.ssl is not None and file.ssl.client_verify and file.ssl.ca is None and ("ssl", "ca") not in unknown:
        yield ("ssl", "client_verify"), "needs ca: the CA certificates that sign the clients' certificates"
    if file.ssl is not None:
        for key, other in (("client_key", "client_cert"), ("client_cert", "client_key")):
            if getattr(file.ssl, key) is not None and getattr(file.ssl, other) is None:
                yield ("ssl", key), f"needs {other}"
    yield from _check_revoked(file)
    if file.monitoring is not None:
        if file.server.rest_port == 0:
            yield ("monitoring",), "needs server.rest_port: metrics are served on the REST port"
        if not file.monitoring.path.startswith("/"):
            yield ("monitoring", "path"), f"must start with a slash, not {shown(file.monitoring.path)}"


def _check_revoked(file: DeploymentFile) -> Iterator[Finding]:
    for index, digest in enumerate(file.revoked):
        if not DIGEST.fullmatch(digest):
            yield ("revoked", index), f"must be a digest of 64 hex digits, as inspect shows it, not {shown(digest)}"


def _check_name(path: KeyPath, name: str) -> Iterator[Finding]:
    if not REST_NAME.fullmatch(name) or name.strip(".") == "":
        yield path, f"must be letters, digits, '_', '-' and '.', not {shown(name)}"
    elif len(name) > _LONGEST_NAME:
        yield path, f"must not be longer than {_LONGEST_NAME} characters"


def _check_ports(server: ServerSection, unknown: set[KeyPath]) -> Iterator[Finding]:
    ports_known = not unknown & {("server", "grpc_port"), ("server", "rest_port")}
    if ports_known and server.grpc_port == server.rest_port:
        key = "rest_port" if "rest_port" in server.model_fields_set else "grpc_port"
        yield ("server", key), f"gRPC and REST cannot share port {server.grpc_port}"
    other = server.alternate_ports
    if other is None or not ports_known:
        return
    where = ("server", "alternate_ports")
    if other.grpc_port == other.rest_port:
        yield (*where, "rest_port"), f"gRPC and REST cannot share port {other.rest_port}"
    for key, port in (("grpc_port", other.grpc_port), ("rest_port", other.rest_port)):
        if port in (server.grpc_port, server.rest_port):
            yield (*where, key), f"must differ from the ports of server, {port} is one of them"


def _check_embedded(server: ServerSection, unknown: set[KeyPath]) -> Iterator[Finding]:
    where = ("server", "embedded", "address")
    if server.embedded is not None and where not in unknown and not is_ip_address(server.embedded.address):
        yield where, f"must be an IP address of this machine, not {shown(server.embedded.address)}"


def _check_flags(server: ServerSection) -> Iterator[Finding]:
    release = release_of_server(server)
    for name, value in server.flags.items():
        owner = DERIVED_FLAGS.get(name)
        derived = f"is set by {owner}: use that, and delete this line" if owner else None
        problem = derived or check_flag(name, value, version=release) or _deaf(name, value)
        if problem:
            yield ("server", "flags", name), problem
    together, *apart = (f"tensorflow_{kind}_parallelism" for kind in ("session", "intra_op", "inter_op"))
    if server.flags.get(together) and any(server.flags.get(name) for name in apart):
        # With all three the server refuses to start; with two it uses one of them (model_servers/server.cc).
        yield ("server", "flags", together), f"cannot be combined with {' and '.join(apart)}: it sets both"


def _deaf(name: str, value: object) -> str | None:
    """Return what is wrong with a server that does not look for versions again: it takes none by a reload either.

    With 0 the server polls once, when it starts; with a negative number never, and its ports stay closed
    (file_system_storage_path_source.cc).
    """
    if name != "file_system_poll_wait_seconds" or not isinstance(value, int) or value > 0:
        return None
    looks = "looks for versions only when it starts, so neither up nor a rollout could load one"
    if value < 0:
        looks = "never looks for versions, so its ports would stay closed"
    return f"must be at least 1: with {value} the server {looks}"


def _check_models(file: DeploymentFile, unknown: set[KeyPath], line: Callable[[KeyPath], int]) -> Iterator[Finding]:
    names: dict[str, int] = {}
    paths: dict[str, int] = {}
    for index, model in enumerate(file.models):
        where: KeyPath = ("models", index)
        if (*where, "name") not in unknown:
            first = names.setdefault(model.name, index)
            yield from _check_name((*where, "name"), model.name)
            if first != index:
                at = line(("models", first, "name"))
                yield (*where, "name"), f"model {model.name!r} is already defined at line {at}"
        if (*where, "base_path") not in unknown:
            yield from _check_base_path((*where, "base_path"), model.base_path, file.server)
            first = paths.setdefault(os.path.normpath(model.base_path), index)
            if first != index:
                at = line(("models", first, "base_path"))
                yield (*where, "base_path"), f"is already the base path of another model, at line {at}"
        if model.store is not None and (*where, "store") not in unknown:
            yield from _check_store((*where, "store"), model.store)
        yield from _check_versions(where, model, known=(*where, "versions") not in unknown)
        yield from _check_traffic(where, model, unknown)


def _check_store(path: KeyPath, store: str) -> Iterator[Finding]:
    try:
        address = parse_address(store)
    except UsageError as error:
        yield path, f"{error.message}: {error.hint}" if error.hint else error.message
        return
    if not address.is_remote:
        yield path, "must be the address of a store, such as s3://bucket/models/NAME: a directory is base_path itself"
    elif address.version is not None:
        yield path, f"names one version; write {address.base}, and the version in versions:"


def _check_base_path(path: KeyPath, base_path: str, server: ServerSection) -> Iterator[Finding]:
    if not base_path or "\0" in base_path:
        yield path, "must be a directory"
    elif base_path.startswith("s3://") and is_stock(server):
        yield path, f"{base_path}: the official image has no S3 support, copy the model to a directory"
    elif "://" in base_path or is_remote(base_path):
        why = "the embedded server reads local files only" if server.target == "embedded" else "it cannot be mounted"
        yield path, f"{base_path} is not a directory: {why}"
    elif base_path.startswith("~"):
        yield path, f"{base_path}: ~ is not expanded, write the path out"


def _check_versions(where: KeyPath, model: ModelSection, *, known: bool) -> Iterator[Finding]:
    specific = model.versions.specific if known else None
    if specific is not None and len(set(specific)) < len(specific):
        double = next(version for version in specific if specific.count(version) > 1)
        yield (*where, "versions", "specific"), f"lists version {double} twice"
    for label, version in model.labels.items():
        path = (*where, "labels", label)
        if not REST_NAME.fullmatch(label):
            yield path, "a label must be letters, digits, '_', '-' and '.', or REST cannot address it"
        if specific is not None and version not in specific:
            listed = ", ".join(map(str, sorted(specific)))
            yield path, f"version {version} is not served, versions.specific lists {listed}"
    if known and model.versions.latest is not None and model.labels:
        listed = ", ".join(map(str, sorted(set(model.labels.values()))))
        unloads = "under the policy latest, newer versions on disk unload what labels point at"
        yield (*where, "labels"), f"{unloads}: serve specific versions ({listed})"


def _check_traffic(where: KeyPath, model: ModelSection, unknown: set[KeyPath]) -> Iterator[Finding]:
    hidden = {path[3] for path in unknown if path[:2] == where and path[2:3] == ("labels",) and len(path) > 3}
    labels_known = (*where, "labels") not in unknown
    for label in model.traffic:
        if labels_known and label not in model.labels and label not in hidden:
            yield (*where, "traffic", label), f"no label {label!r} in labels{did_you_mean(label, model.labels)}"
    total = sum(model.traffic.values())
    if model.traffic and abs(total - 100) > _SUM_TOLERANCE and not _hides(unknown, (*where, "traffic")):
        yield (*where, "traffic"), f"weights must sum to 100, not {total:g}"


def _hides(unknown: set[KeyPath], path: KeyPath) -> bool:
    return any(hidden[: len(path)] == path for hidden in unknown)
