# SPDX-License-Identifier: Apache-2.0
"""Turns flags, and the files that they name, into the settings of the server's parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc

from tfs_deploy import protos
from tfs_deploy.errors import EnvironmentFault, UsageError, file_hint
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.server.batching.options import BatchOptions, batch_options
from tfs_deploy.server.models.config_checks import TENSORFLOW
from tfs_deploy.server.models.loader import LoaderOptions, SavedModelLoader
from tfs_deploy.server.models.manager import ManagerOptions
from tfs_deploy.server.models.server_core import ServerCore, ServerCoreOptions

if TYPE_CHECKING:
    from tfs_deploy.server.metrics import ServerMetrics
    from tfs_deploy.server.process.flags import ServerFlags

DEFAULT_METRICS_PATH: Final = "/monitoring/prometheus/metrics"


def initial_config(flags: ServerFlags) -> Any:
    """Return the first ModelServerConfig: the config file, or one made of --model_name and --model_base_path.

    Raises:
        UsageError: neither is given.
        EnvironmentFault: the file cannot be read, or does not parse.
    """
    if flags.text("model_config_file"):
        return read_config_file(Path(flags.text("model_config_file")))
    base_path = flags.text("model_base_path")
    if not base_path:
        raise UsageError(
            "no model to serve: neither --model_config_file nor --model_base_path is given",
            hint="--model_base_path is the directory that holds the numbered versions",
        )
    config = protos.ModelServerConfig()
    config.model_config_list.config.add(name=flags.text("model_name"), base_path=base_path, model_platform=TENSORFLOW)
    return config


def read_config_file(path: Path) -> Any:
    """Parse a ``models.config``."""
    return read_text_file(path, protos.ModelServerConfig(), "model config")


def batching(flags: ServerFlags) -> BatchOptions | None:
    """Return the batching parameters, ``None`` if batching is off."""
    path = flags.text("batching_parameters_file")
    if not flags.on("enable_batching"):
        if path:
            raise UsageError(
                "--batching_parameters_file is set without --enable_batching", hint="add --enable_batching=true"
            )
        return None
    message = protos.BatchingParameters()
    if path:
        read_text_file(Path(path), message, "batching parameters")
    return _batch_options(message)


def _batch_options(message: Any) -> BatchOptions:
    options = batch_options(message)
    if options.threads < 1:
        raise UsageError(
            f"num_batch_threads must be positive; was {options.threads}", hint="leave it out for one per processor"
        )
    return options


def session_config(flags: ServerFlags) -> bytes:
    """Return the serialized ConfigProto of all sessions (model_servers/server.cc).

    Raises:
        UsageError: the flags contradict each other.
        EnvironmentFault: the file cannot be read, or does not parse.
    """
    names = ("tensorflow_session_parallelism", "tensorflow_intra_op_parallelism", "tensorflow_inter_op_parallelism")
    both, intra, inter = (flags.number(name) for name in names)
    if both and (intra or inter):
        raise UsageError(
            "--tensorflow_session_parallelism cannot be combined with --tensorflow_intra_op_parallelism and "
            "--tensorflow_inter_op_parallelism",
            hint="give the first, or the other two",
        )
    config = protos.ConfigProto()
    if flags.text("tensorflow_session_config_file"):
        read_text_file(Path(flags.text("tensorflow_session_config_file")), config, "session config")
    config.intra_op_parallelism_threads = both or intra or config.intra_op_parallelism_threads
    config.inter_op_parallelism_threads = both or inter or config.inter_op_parallelism_threads
    if config.intra_op_parallelism_threads < 0:
        # it would make TensorFlow end the process
        raise UsageError(
            f"not a valid number of threads within an operation: {config.intra_op_parallelism_threads}",
            hint="0 lets TensorFlow choose",
        )
    if flags.real("per_process_gpu_memory_fraction"):
        config.gpu_options.per_process_gpu_memory_fraction = flags.real("per_process_gpu_memory_fraction")
    data: bytes = config.SerializeToString()
    return data


def read_text_file(path: Path, message: Any, what: str) -> Any:
    """Read a text proto file into a message and return it; errors name the file.

    A file without a byte is refused, as by the server, which maps it into memory; what is wrong in a text is said in
    its words, with line and column.
    """
    from google.protobuf import text_format

    try:
        text = read_regular(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        hint = file_hint(error) if isinstance(error, OSError) else "save it as UTF-8"
        raise EnvironmentFault(f"the {what} file {path} cannot be read: {reason}", hint=hint) from error
    kind = message.DESCRIPTOR
    if not text:
        hint = f"write a {kind.name} in text format; a comment (#) alone asks for the defaults"
        raise EnvironmentFault(f"the {what} file {path} is empty", hint=hint)
    try:
        return protos.parse_text(text, message)
    except text_format.ParseError as error:
        said = str(error).replace(" : ", ": ", 1)
        raise EnvironmentFault(
            f"the {what} file {path} does not parse: Error parsing text-format {kind.full_name}: {said}",
            hint=f"it is a {kind.name} in text format",
        ) from error


def metrics_path(flags: ServerFlags) -> str | None:
    """Return where the metrics page is, ``None`` if the monitoring config does not enable it."""
    if not flags.text("monitoring_config_file"):
        return None
    config = protos.MonitoringConfig()
    read_text_file(Path(flags.text("monitoring_config_file")), config, "monitoring config")
    if not config.prometheus_config.enable:
        return None
    return config.prometheus_config.path or DEFAULT_METRICS_PATH


def server_credentials(flags: ServerFlags) -> grpc.ServerCredentials | None:
    """Return the TLS credentials of the SSL config file (PEM contents, not paths), ``None`` without one."""
    if not flags.text("ssl_config_file"):
        return None
    config = protos.SSLConfig()
    read_text_file(Path(flags.text("ssl_config_file")), config, "SSL config")
    roots = config.custom_ca.encode() or None
    if config.client_verify and roots is None:
        raise EnvironmentFault(
            "the SSL config asks for client certificates without a custom_ca to check them against",
            hint="put the PEM text of the authority's certificate into custom_ca",
        )
    pair = (config.server_key.encode(), config.server_cert.encode())
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=config.client_verify)


def make_core(flags: ServerFlags, metrics: ServerMetrics) -> ServerCore:
    """Return the core that the flags describe."""
    options = ServerCoreOptions(
        poll_seconds=flags.number("file_system_poll_wait_seconds"),
        allow_labels_for_unavailable=flags.on("allow_version_labels_for_unavailable_models"),
        manager=ManagerOptions(
            load_threads=flags.number("num_load_threads"),
            unload_threads=flags.number("num_unload_threads"),
            load_retries=flags.number("max_num_load_retries"),
            retry_seconds=flags.number("load_retry_interval_micros") / 1e6,
        ),
    )
    loading = platform_options(flags) if flags.text("platform_config_file") else loader_options(flags)
    return ServerCore(SavedModelLoader(loading, metrics), options)


def loader_options(flags: ServerFlags) -> LoaderOptions:
    """Return the flags that concern loading models."""
    return LoaderOptions(
        # as in the original, no tags mean the default, not a meta graph without tags
        tags=tuple(tag for tag in flags.text("saved_model_tags").split(",") if tag) or ("serve",),
        session_config=session_config(flags),
        warmup=flags.on("enable_model_warmup"),
        warmup_iterations=flags.number("num_request_iterations_for_warmup"),
        batching=batching(flags),
        per_model_batching=flags.on("enable_per_model_batching_parameters"),
        check_method=flags.on("enable_signature_method_name_check"),
    )


def platform_options(flags: ServerFlags) -> LoaderOptions:
    """Return the settings of the platform config file for loading models, which replace those of the flags.

    Raises:
        EnvironmentFault: the file cannot be read, or has no entry for the platform ``tensorflow``.
    """
    path = Path(flags.text("platform_config_file"))
    platforms = read_text_file(path, protos.PlatformConfigMap(), "platform config").platform_configs
    if TENSORFLOW not in platforms:
        raise EnvironmentFault(
            f"the platform config file {path} has no entry for the platform {TENSORFLOW!r}",
            hint='it is a PlatformConfigMap: platform_configs { key: "tensorflow" value { ... } }',
        )
    adapter = protos.SavedModelBundleSourceAdapterConfig()
    platforms[TENSORFLOW].source_adapter_config.Unpack(adapter)
    config = adapter.legacy_config
    return LoaderOptions(
        tags=tuple(config.saved_model_tags) or ("serve",),
        session_config=config.session_config.SerializeToString(),
        warmup=config.enable_model_warmup,
        batching=_batch_options(config.batching_parameters) if config.HasField("batching_parameters") else None,
        check_method=flags.on("enable_signature_method_name_check"),
    )


def compiles_with_xla(flags: ServerFlags) -> bool:
    """Return whether XLA may compile: either flag enables it on the CPU (model_servers/main.cc)."""
    return flags.on("xla_cpu_compilation_enabled") or flags.on("xla_gpu_compilation_enabled")


def channel_options(flags: ServerFlags) -> list[tuple[str, Any]]:
    """Return --grpc_channel_arguments as gRPC takes them."""
    options: list[tuple[str, Any]] = []
    for entry in filter(None, flags.text("grpc_channel_arguments").split(",")):
        key, _, value = entry.partition("=")
        options.append((key, int(value) if value.lstrip("-").isdigit() else value))
    return options
