# SPDX-License-Identifier: Apache-2.0
"""The command line of the embedded server."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.flags import FLAGS
from tfs_deploy.errors import UsageError
from tfs_deploy.server.process.flags import IGNORED_FLAGS, OWN_FLAGS, help_text, parse_flags


def test_every_flag_of_the_original_is_known() -> None:
    flags = parse_flags([])
    assert set(FLAGS) <= set(flags.values)
    assert set(FLAGS) >= IGNORED_FLAGS
    for name in (*FLAGS, *OWN_FLAGS):
        assert f"--{name}=" in help_text()


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--port=9000"], "port", 9000),
        (["--port", "9000"], "port", 9000),
        (["--port=1", "--port=2"], "port", 2),
        (["--file_system_poll_wait_seconds=-1"], "file_system_poll_wait_seconds", -1),
        (["--file_system_poll_wait_seconds", "-1"], "file_system_poll_wait_seconds", -1),
        (["--enable_batching"], "enable_batching", True),
        (["--enable_batching", "--port=1"], "enable_batching", True),
        (["--enable_batching", "false"], "enable_batching", False),
        (["--enable_batching=False"], "enable_batching", False),
        (["--enable_batching=1"], "enable_batching", True),
        ([], "address", "127.0.0.1"),
        ([], "remote_reload", False),
        (["--address=::"], "address", "::"),
        (["--model_name="], "model_name", ""),
        (["--model_base_path=a=b"], "model_base_path", "a=b"),
        (["--per_process_gpu_memory_fraction=0.5"], "per_process_gpu_memory_fraction", 0.5),
        (["--load_retry_interval_micros=60000000"], "load_retry_interval_micros", 60_000_000),
    ],
)
def test_values(arguments: list[str], name: str, value: object) -> None:
    assert parse_flags(arguments).values[name] == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prot=9000"], "unknown flag --prot, did you mean --port?"),
        (["--qqqqqqqq"], "unknown flag --qqqqqqqq"),
        (["port=9000"], "unexpected argument 'port=9000'"),
        (["-port=9000"], "unexpected argument '-port=9000'"),
        (["--"], "unexpected argument '--'"),
        (["--port"], "flag --port needs a value"),
        (["--port=abc"], "flag 'port' takes an int32 number, not 'abc'"),
        (["--port=99999999999"], "flag 'port' takes an int32 number, not 99999999999"),
        (["--enable_batching=maybe"], "flag 'enable_batching' takes true or false, not 'maybe'"),
        (["--log_level=loud"], "flag 'log_level' takes one of debug, info, warning, error, not 'loud'"),
        (["--address=localhost"], "flag 'address' takes an IP address of this machine, not 'localhost'"),
        (["--address="], "flag 'address' takes an IP address of this machine, not ''"),
        (["--address=fe80::1%lo"], "flag 'address' takes an IP address of this machine, not 'fe80::1%lo'"),
        (["--drain_seconds=-1"], "flag 'drain_seconds' takes a number of seconds, not -1.0"),
    ],
)
def test_mistakes(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_flags(arguments)
    assert caught.value.message == message


def test_ignored_flags_are_listed_once_each() -> None:
    flags = parse_flags(["--enable_profiler=false", "--port=1", "--enable_profiler=true", "--num_tflite_pools=2"])
    assert flags.ignored == ["enable_profiler", "num_tflite_pools"]
