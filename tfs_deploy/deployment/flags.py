# SPDX-License-Identifier: Apache-2.0
"""The flags of tensorflow_model_server, as data: name, type, default, and the release that brought each.

The server prints its usage and carries on when it meets a flag it does not know, so a misspelt flag is lost without
an error. The toolkit therefore checks every flag against this table before a server sees it
(TF Serving: model_servers/main.cc; the usage text of the server itself).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

from tfs_deploy.text import closest

FlagType = Literal["bool", "int32", "int64", "float", "string"]
FlagValue = bool | int | float | str

_INT_BITS = {"int32": 32, "int64": 64}

#: flags that follow from other keys of the deployment file -> those keys
DERIVED_FLAGS: Final[dict[str, str]] = {
    "port": "server.grpc_port",
    "rest_api_port": "server.rest_port",
    "model_config_file": "models",
    "model_name": "models[].name",
    "model_base_path": "models[].base_path",
    "allow_version_labels_for_unavailable_models": "models[].labels",
    "enable_batching": "batching",
    "batching_parameters_file": "batching",
    "monitoring_config_file": "monitoring",
    "ssl_config_file": "ssl",
    "tensorflow_session_config_file": "server.session_config",
    "platform_config_file": "server.platform_config",
    "version": "tfs-deploy --version",
}


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: ``default`` is None where the server computes it (from the number of CPUs); ``since`` is X.Y."""

    name: str
    type: FlagType
    default: FlagValue | None
    since: tuple[int, int] = (2, 0)


_Row = tuple[str, FlagType, FlagValue | None] | tuple[str, FlagType, FlagValue | None, tuple[int, int]]
_TABLE: tuple[_Row, ...] = (
    ("port", "int32", 8500),
    ("grpc_socket_path", "string", ""),
    ("rest_api_port", "int32", 0),
    ("rest_api_num_threads", "int32", None),  # 4 x CPUs
    ("rest_api_timeout_in_ms", "int32", 30_000),
    ("rest_api_enable_cors_support", "bool", False, (2, 4)),
    ("enable_batching", "bool", False),
    ("allow_version_labels_for_unavailable_models", "bool", False),
    ("batching_parameters_file", "string", ""),
    ("enable_per_model_batching_parameters", "bool", False, (2, 11)),
    ("model_config_file", "string", ""),
    ("model_config_file_poll_wait_seconds", "int32", 0),
    ("model_name", "string", "default"),
    ("model_base_path", "string", ""),
    ("num_load_threads", "int32", 0),
    ("num_unload_threads", "int32", 0),
    ("max_num_load_retries", "int32", 5),
    ("load_retry_interval_micros", "int64", 60_000_000),
    ("file_system_poll_wait_seconds", "int32", 1),
    ("flush_filesystem_caches", "bool", True),
    ("tensorflow_session_parallelism", "int64", 0),
    ("tensorflow_session_config_file", "string", ""),
    ("tensorflow_intra_op_parallelism", "int64", 0),
    ("tensorflow_inter_op_parallelism", "int64", 0),
    ("use_alts_credentials", "bool", False),
    ("ssl_config_file", "string", ""),
    ("platform_config_file", "string", ""),
    ("per_process_gpu_memory_fraction", "float", 0.0),
    ("saved_model_tags", "string", "serve"),
    ("grpc_channel_arguments", "string", ""),
    ("grpc_max_threads", "int32", None),  # 4 x CPUs
    ("enable_model_warmup", "bool", True),
    ("num_request_iterations_for_warmup", "int32", 0, (2, 6)),
    ("version", "bool", False),
    ("monitoring_config_file", "string", ""),
    ("remove_unused_fields_from_bundle_metagraph", "bool", True),
    ("prefer_tflite_model", "bool", False),
    ("num_tflite_pools", "int32", None),  # CPUs
    ("num_tflite_interpreters_per_pool", "int32", 1),
    ("enable_signature_method_name_check", "bool", False),
    ("xla_cpu_compilation_enabled", "bool", False),
    ("xla_gpu_compilation_enabled", "bool", False, (2, 18)),
    ("enable_profiler", "bool", True),
    ("thread_pool_factory_config_file", "string", ""),
    ("mixed_precision", "string", "", (2, 15)),
    ("skip_initialize_tpu", "bool", False, (2, 15)),
    ("enable_grpc_healthcheck_service", "bool", False, (2, 15)),
    ("enable_serialization_as_tensor_content", "bool", False, (2, 19)),
)

#: name -> flag, in the order of the server's own usage text
FLAGS: dict[str, Flag] = {row[0]: Flag(*row) for row in _TABLE}


def flag_text(name: str, value: FlagValue) -> str:
    """Write one flag as the server reads it: ``--name=value``, booleans as ``true`` and ``false``."""
    return f"--{name}={str(value).lower() if isinstance(value, bool) else value}"


def unknown_flag(name: str) -> str:
    """Return the message for an unknown flag, with the closest one that exists."""
    near = closest(name, FLAGS)
    return f"unknown flag {name!r}" + ("" if near is None else f", did you mean {near!r}?")


def check_flag(name: str, value: object, *, version: tuple[int, int] | None = None) -> str | None:
    """Return what is wrong with a flag of a server of release ``version`` (None: the newest), or None."""
    flag = FLAGS.get(name)
    if flag is None:
        return unknown_flag(name)
    if version is not None and version < flag.since:
        return f"flag {name!r} needs server {_release(flag.since)} or newer, but this one is {_release(version)}"
    return _type_problem(flag, value) or _value_problem(flag, value)


def _release(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _type_problem(flag: Flag, value: object) -> str | None:
    if flag.type == "bool":
        fits = isinstance(value, bool)
    elif flag.type == "string":
        fits = isinstance(value, str)
    elif flag.type == "float":
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    else:
        limit = 1 << (_INT_BITS[flag.type] - 1)
        fits = isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit
    wanted = {"bool": "true or false", "string": "text", "float": "a number"}.get(flag.type, f"an {flag.type} number")
    return None if fits else f"flag {flag.name!r} takes {wanted}, not {value!r}"


def _value_problem(flag: Flag, value: Any) -> str | None:
    if flag.name == "per_process_gpu_memory_fraction" and not 0 <= value <= 1:
        return f"flag {flag.name!r} takes a share from 0 to 1, not {value}"
    if flag.name == "mixed_precision" and value not in ("", "bfloat16"):
        return f"flag 'mixed_precision' takes only 'bfloat16', not {value!r}"
    if flag.name in ("grpc_max_threads", "rest_api_num_threads", "rest_api_timeout_in_ms") and value < 1:
        return f"flag {flag.name!r} must be at least 1, not {value}"
    if flag.name == "grpc_channel_arguments":
        # The server splits each entry at "=" and uses the second part without looking whether there is one.
        broken = [entry for entry in value.split(",") if value and entry.count("=") != 1]
        return f"flag {flag.name!r} takes key=value,key=value; {broken[0]!r} is not such a pair" if broken else None
    return None
