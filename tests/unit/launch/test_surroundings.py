"""What servers need around them: memory, readable files, config directories, a certificate's name."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tfs_deploy.deployment import Deployment, Docker, Model, Server, VersionPolicy
from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.host.usage import container_usage, process_usage
from tfs_deploy.launch.connect import certificate_name
from tfs_deploy.launch.docker.mount_access import may_read, require_readable
from tfs_deploy.launch.memory import Memory, memory_of, require_memory
from tfs_deploy.text import size_text


def deployment(tmp_path, *, memory: int | None = None, versions=(1, 2)) -> Deployment:
    for number in (1, 2, 3):
        folder = tmp_path / f"m/{number}/variables"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").write_bytes(b"x" * 1000 * number)
    server = Server(target="docker", docker=Docker("a/b:1", memory=memory))
    model = Model("m", tmp_path / "m", VersionPolicy.specific(versions))
    return Deployment("d", tmp_path / "d.yaml", tmp_path / ".tfs-deploy/d", (model,), server)


def test_memory_is_what_the_server_reckons_with(tmp_path):
    """1.2 bytes for every byte of a version's files; what is loaded and stays counts once."""
    served = deployment(tmp_path, memory=5000)
    assert memory_of(served, {}, side_by_side=False) == Memory(3600, 3600, 5000, "server.docker.memory")
    beside = memory_of(served, {"m": {1, 3}}, side_by_side=False)
    assert (beside.models, beside.peak, beside.fits) == (3600, 7200, False)


def test_two_containers_have_a_limit_each(tmp_path):
    assert memory_of(deployment(tmp_path, memory=5000), {"m": {1, 2}}, side_by_side=True).peak == 3600


def test_without_a_limit_the_machine_counts_what_is_loaded_as_there(tmp_path):
    side_by_side = memory_of(deployment(tmp_path), {"m": {1, 2}}, side_by_side=True)
    assert side_by_side.peak == 7200
    assert side_by_side.limit == "this machine"
    assert side_by_side.fits


def test_what_does_not_fit_is_an_error_that_names_the_way_out(tmp_path):
    with pytest.raises(
        EnvironmentFault, match=r"the models need about 4 kB, server\.docker\.memory has 3 kB"
    ) as caught:
        require_memory(deployment(tmp_path, memory=3000), None, side_by_side=False, loaded={})
    assert "--ignore-memory" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "2 kB"), (2_500_000, "2 MB"), (3_210_000_000, "3.2 GB")]
)
def test_sizes_as_people_write_them(count, text):
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "expected"),
    [(0o600, 7, 8, True), (0o600, 1, 8, False), (0o640, 1, 8, True), (0o640, 1, 1, False), (0o604, 1, 1, True)],
)
def test_who_may_read_a_file(mode, uid, gid, expected):
    status = os.stat_result((0o100000 | mode, 0, 0, 1, 7, 8, 0, 0, 0, 0))
    assert may_read(status, uid, gid) is expected


def test_a_directory_has_to_be_entered_too():
    status = os.stat_result((0o040744, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    assert may_read(status, 1, 1) is False


def test_only_versions_that_are_served_have_to_be_readable(tmp_path):
    served = deployment(tmp_path, versions=(1,))
    (tmp_path / "m/2").chmod(0o700)
    (tmp_path / "m").chmod(0o755)
    require_readable(served, "4711:4711", mapped=False)
    (tmp_path / "m/1/variables/data").chmod(0o600)
    with pytest.raises(UsageError, match="user 4711:4711 of the container may not read") as caught:
        require_readable(served, "4711:4711", mapped=False)
    assert "chmod -R a+rX" in str(caught.value.hint)
    require_readable(served, "0:0", mapped=False)
    require_readable(served, "4711:4711", mapped=True)


def test_the_name_in_a_certificate(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout /dev/null"
    for subject, more, expected in (
        ("/CN=one.example", [], "one.example"),
        ("/CN=x", ["-addext", "subjectAltName=DNS:*.two.example"], "host.two.example"),
        ("/O=nobody", [], None),
    ):
        path = tmp_path / "c.pem"
        subprocess.run([*line.split(), "-subj", subject, "-out", path, *more], check=True, capture_output=True)
        assert certificate_name(path) == expected


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
