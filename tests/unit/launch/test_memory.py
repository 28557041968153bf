# SPDX-License-Identifier: Apache-2.0
"""What models need of memory, and what becomes of those that do not fit."""

from __future__ import annotations

from tfs_deploy.deployment import Deployment, Docker, Model, Server, VersionPolicy
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.launch.memory import Memory, MemoryLimit, memory_of, memory_problem

LIMIT = MemoryLimit(5000, "server.docker.memory")


def deployment(tmp_path, *, versions=(1, 2)) -> Deployment:
    for number in (1, 2, 3):
        folder = tmp_path / f"m/{number}/variables"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").write_bytes(b"x" * 1000 * number)
    server = Server(target="docker", docker=Docker("a/b:1"))
    model = Model("m", tmp_path / "m", VersionPolicy.specific(versions))
    return Deployment("d", tmp_path / "d.yaml", tmp_path / ".tfs-deploy/d", (model,), server)


def test_memory_is_what_the_server_reckons_with(tmp_path):
    """1.2 bytes for every byte of a version's files; what is loaded and stays counts once."""
    served = deployment(tmp_path)
    assert memory_of(served, {}, side_by_side=False, limit=LIMIT) == Memory(3600, 3600, 5000, "server.docker.memory")
    beside = memory_of(served, {"m": {1, 3}}, side_by_side=False, limit=LIMIT)
    assert (beside.models, beside.peak, beside.fits) == (3600, 7200, False)


def test_two_containers_have_a_limit_each(tmp_path):
    assert memory_of(deployment(tmp_path), {"m": {1, 2}}, side_by_side=True, limit=LIMIT).peak == 3600


def test_without_a_limit_the_machine_counts_what_is_loaded_as_there(tmp_path):
    side_by_side = memory_of(deployment(tmp_path), {"m": {1, 2}}, side_by_side=True)
    assert side_by_side.peak == 7200
    assert side_by_side.limit == "this machine"
    assert side_by_side.fits


def test_what_does_not_fit_is_an_error_that_names_the_way_out(tmp_path):
    limit = MemoryLimit(3000, "server.docker.memory")
    problem = memory_problem(memory_of(deployment(tmp_path), {}, side_by_side=False, limit=limit), beside=False)
    assert isinstance(problem, EnvironmentFault)
    assert problem.message == "the models need about 3.6 kB, but server.docker.memory has 3.0 kB"
    assert "--ignore-memory" in str(problem.hint)
