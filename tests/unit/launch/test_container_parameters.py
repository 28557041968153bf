"""What the Docker Engine is asked to run: golden files of whole requests, and who a container runs as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfs_deploy.config import server_flags
from tfs_deploy.deployment.docker import Docker
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.launch.docker.container import Ports, container_config, container_name, restart_policy, user_of
from tfs_deploy.launch.start_settings import settings_of, what_differs

FILES = Path(__file__).parents[1] / "config/golden"
GOLDEN = Path(__file__).parent / "golden"


def request_for(name: str) -> str:
    """Return the request for a deployment file, with places of this machine taken out."""
    served = load_deployment(FILES / f"{name}.yaml")
    docker = served.server.docker
    assert docker is not None
    config_dir = served.state_dir / "config.1"
    body = container_config(
        served,
        docker,
        flags=server_flags(served, config_dir),
        config_dir=config_dir,
        ports=Ports(served.server.grpc_port, served.server.rest_port),
        user=user_of(docker, 1001, 1002, mapped=False),
        settings=settings_of(served),
    )
    return json.dumps(body, indent=2).replace(str(FILES), "/shop") + "\n"


@pytest.mark.parametrize("name", ["container", "container_full", "container_no_rest"])
def test_golden_requests(name):
    assert request_for(name) == (GOLDEN / f"{name}.json").read_text()


@pytest.mark.parametrize(
    ("user", "uid", "mapped", "expected"),
    [
        (None, 1000, False, "1000:100"),
        (None, 0, False, "65534:65534"),
        (None, 1000, True, "0:0"),
        ("7:8", 0, False, "7:8"),
        ("7:8", 1000, True, "7:8"),
    ],
)
def test_who_a_container_runs_as(user, uid, mapped, expected):
    assert user_of(Docker("a:1", user=user), uid, 100, mapped=mapped) == expected


def test_two_files_with_one_name_get_two_containers(tmp_path):
    names = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "shop.yaml"
        path.write_text((FILES / "container.yaml").read_text())
        names.add(container_name(load_deployment(path)))
    assert len(names) == 2
    assert all(name.startswith("tfs-deploy-container-") for name in names)


def test_restart_policies_in_the_words_of_the_engine():
    names = {
        choice: restart_policy(Docker("a:1", restart=choice))["Name"] for choice in ("never", "on-failure", "always")
    }
    assert names == {"never": "no", "on-failure": "on-failure", "always": "always"}


def test_ports_that_two_pairs_share():
    assert Ports(1, 2) & Ports(2, 3) == {2}
    assert Ports(1, 0) & Ports(2, 0) == set()


def test_settings_differ_by_name():
    had, wanted = ("image=a:1", "cpus=1", "batching.config=x"), ("image=a:2", "cpus=1", "ssl.config=y")
    assert what_differs(had, wanted) == ["image: a:1 -> a:2", "batching.config: x -> none", "ssl.config: none -> y"]
    assert what_differs(had, had) == []


def test_the_second_pair_of_ports_is_no_setting(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text("name: a\nmodels: [{name: m, base_path: m}]\n")
    before = settings_of(load_deployment(path))
    path.write_text(path.read_text() + "server: {alternate_ports: {grpc_port: 1, rest_port: 2}}\n")
    assert settings_of(load_deployment(path)) == before
