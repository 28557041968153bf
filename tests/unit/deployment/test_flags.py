# SPDX-License-Identifier: Apache-2.0
"""The table of the server's flags, and what is said of a flag that does not fit."""

from __future__ import annotations

import pytest

from tfs_deploy.config.command_line import DEFAULTS
from tfs_deploy.deployment.flags import DERIVED_FLAGS, FLAGS, check_flag, flag_text


def test_the_table_is_that_of_the_server():
    assert len(FLAGS) == 48
    for name, flag in FLAGS.items():
        assert name == flag.name
        assert flag.default is None or check_flag(name, flag.default) is None or name == "version"


def test_what_the_toolkit_sets_is_in_the_table():
    assert FLAGS.keys() >= DERIVED_FLAGS.keys() | DEFAULTS.keys()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("enable_bathing", True, "unknown flag 'enable_bathing', did you mean 'enable_batching'?"),
        ("zzz", 1, "unknown flag 'zzz'"),
        ("enable_batching", 1, "takes true or false, not 1"),
        ("enable_batching", "true", "takes true or false, not 'true'"),
        ("num_load_threads", True, "takes an int32 number, not True"),
        ("num_load_threads", 2**31, "takes an int32 number, not 2147483648"),
        ("num_load_threads", 1.5, "takes an int32 number, not 1.5"),
        ("tensorflow_session_parallelism", 2**63, "takes an int64 number"),
        ("saved_model_tags", 3, "takes text, not 3"),
        ("per_process_gpu_memory_fraction", 1.5, "takes a share from 0 to 1, not 1.5"),
        ("per_process_gpu_memory_fraction", float("nan"), "takes a number, not nan"),
        ("mixed_precision", "float16", "takes only 'bfloat16'"),
        ("grpc_max_threads", 0, "must be at least 1, not 0"),
        ("grpc_channel_arguments", "grpc.max_connection_age_ms", "is not such a pair"),
    ],
)
def test_what_does_not_fit(name, value, problem):
    assert problem in str(check_flag(name, value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tensorflow_session_parallelism", 2**40),
        ("per_process_gpu_memory_fraction", 1),
        ("grpc_channel_arguments", "grpc.max_connection_age_ms=2000,grpc.x=y"),
        ("grpc_channel_arguments", ""),
        ("mixed_precision", "bfloat16"),
        ("file_system_poll_wait_seconds", -1),
    ],
)
def test_what_fits(name, value):
    assert check_flag(name, value) is None


def test_flags_that_an_older_server_lacks():
    name = "enable_serialization_as_tensor_content"
    assert check_flag(name, True, version=(2, 18)) == f"flag '{name}' needs server 2.19 or newer, but this one is 2.18"
    assert check_flag(name, True, version=(2, 19)) is None
    assert check_flag(name, True) is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("enable_batching", True, "true"), ("x", 1, "1"), ("x", 0.5, "0.5"), ("x", "a b", "a b")],
)
def test_flags_as_text(name, value, text):
    assert flag_text(name, value) == f"--{name}={text}"
