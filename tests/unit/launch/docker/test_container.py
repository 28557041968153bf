# SPDX-License-Identifier: Apache-2.0
"""What the Docker Engine is asked to run: golden files of whole requests, and who a container runs as."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfs_deploy.config import server_flags
from tfs_deploy.deployment.docker import Docker, user_of
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.launch.docker.container import container_config, container_name, restart_policy
from tfs_deploy.launch.docker.container_server import ContainerServer
from tfs_deploy.launch.docker.settings import container_settings, image_line, mounted_directories
from tfs_deploy.launch.server import ServerPorts
from tfs_deploy.launch.start_settings import settings_diff, start_settings

FILES = Path(__file__).parents[2] / "config/golden"
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
        ports=ServerPorts(served.server.grpc_port, served.server.rest_port),
        user=user_of(docker, 1001, 1002, mapped=False),
        settings=container_settings(served),
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
    assert ServerPorts(1, 2) & ServerPorts(2, 3) == {2}
    assert ServerPorts(1, 0) & ServerPorts(2, 0) == set()


def test_networks_labels_shared_memory_and_a_health_check(tmp_path):
    path = tmp_path / "shop.yaml"
    head = "name: a\nmodels: [{name: m, base_path: m}]\n"
    more = "networks: [back, front], labels: {team: x}, shm_size: 64m, health_check: true"
    path.write_text(f"{head}server: {{target: docker, docker: {{image: 'a/b:1', {more}}}}}\n")
    served = load_deployment(path)
    docker = served.server.docker
    body = container_config(
        served, docker, flags=[], config_dir=tmp_path, ports=ServerPorts(1, 2), user="1:1", settings=()
    )
    assert body["HostConfig"]["NetworkMode"] == "back"
    assert body["HostConfig"]["ShmSize"] == 64 << 20
    assert body["Healthcheck"]["Test"][-1] == "exec 3<>/dev/tcp/127.0.0.1/8500"
    assert body["Labels"]["team"] == "x"
    assert body["Labels"]["tfs-deploy.deployment"] == "a"
    path.write_text(f"{head}server: {{target: docker, docker: {{image: 'a/b:1'}}}}\n")
    changed = settings_diff(container_settings(load_deployment(path)), container_settings(served))
    assert [line.partition(":")[0] for line in changed] == [
        "docker.networks",
        "docker.shm_size",
        "docker.health_check",
        "docker.labels.team",
    ]


def test_settings_differ_by_name():
    had, wanted = ("image=a:1", "cpus=1", "batching.config=x"), ("image=a:2", "cpus=1", "ssl.config=y")
    assert settings_diff(had, wanted) == ["image: a:1 -> a:2", "batching.config: x -> none", "ssl.config: none -> y"]
    assert settings_diff(had, had) == []


def test_the_second_pair_of_ports_is_no_setting(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text("name: a\nmodels: [{name: m, base_path: m}]\n")
    before = start_settings(load_deployment(path))
    path.write_text(path.read_text() + "server: {alternate_ports: {grpc_port: 1, rest_port: 2}}\n")
    assert start_settings(load_deployment(path)) == before


def test_another_directory_in_the_place_of_a_mounted_one_is_another_setting(tmp_path):
    for release in ("r1", "r2"):
        (tmp_path / release / "m").mkdir(parents=True)
    (tmp_path / "now").symlink_to("r1")
    (tmp_path / "ca").write_text("x")
    path = tmp_path / "shop.yaml"
    docker = "{image: 'a/b:1', mounts: [{source: ca, target: /ca}]}"
    path.write_text(f"name: a\nserver: {{target: docker, docker: {docker}}}\nmodels: [{{name: m, base_path: now/m}}]\n")
    served = load_deployment(path)

    def changes(had: tuple[str, ...]) -> list[str]:
        return [line.partition(":")[0] for line in settings_diff(had, mounted_directories(served))]

    before = mounted_directories(served)
    (tmp_path / "r1/m/1").mkdir()
    assert changes(before) == []
    (tmp_path / "now").unlink()
    (tmp_path / "now").symlink_to("r2")
    assert changes(before) == ["mounted /models/m"]
    before = mounted_directories(served)
    (tmp_path / "r2/m").rename(tmp_path / "old")
    assert changes(before) == ["mounted /models/m"]
    (tmp_path / "r2/m").mkdir()
    assert changes(before) == ["mounted /models/m"]
    before = mounted_directories(served)
    (tmp_path / "new").write_text("y")
    (tmp_path / "new").rename(tmp_path / "ca")
    assert changes(before) == ["mounted /ca"]


def test_a_container_knows_the_image_that_it_was_made_of():
    facts = {"Image": "sha256:0123456789abcdef", "Config": {"Labels": {"tfs-deploy.settings": '["a=1"]'}}}
    server = ContainerServer(None, "id", facts)  # type: ignore[arg-type]
    assert server.settings == ("a=1", image_line("0123456789abcdef"))
    assert settings_diff(server.settings, ("a=1", image_line("sha256:ffff")))
