# SPDX-License-Identifier: Apache-2.0
"""What a server uses of its machine."""

from __future__ import annotations

import os

import pytest

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.host.usage import container_usage, process_usage


def test_usage_of_a_process():
    usage = process_usage(os.getpid(), window=0.01)
    assert usage.memory > 1 << 20
    assert usage.threads >= 1
    with pytest.raises(EnvironmentFault, match="cannot be read"):
        process_usage(2**22 + 1)


def test_usage_as_the_engine_tells_it():
    stats = {
        "cpu_stats": {"cpu_usage": {"total_usage": 150}, "system_cpu_usage": 2000, "online_cpus": 4},
        "precpu_stats": {"cpu_usage": {"total_usage": 50}, "system_cpu_usage": 1000},
        "memory_stats": {"usage": 1000, "limit": 5000, "stats": {"inactive_file": 300}},
        "pids_stats": {"current": 9},
        "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
    }
    usage = container_usage(stats)
    assert usage.document() == {"cpu": 0.4, "memory": 700, "limit": 5000, "threads": 9, "received": 11, "sent": 22}
    bare = {"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "precpu_stats": {"cpu_usage": {}}, "memory_stats": {}}
    assert container_usage(bare).cpu == 0.0
