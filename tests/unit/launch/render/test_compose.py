# SPDX-License-Identifier: Apache-2.0
"""Compose files and Dockerfiles: whole files, and what must not get into them."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
import yaml

from tfs_deploy.deployment.deployment import Ssl
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import UsageError
from tfs_deploy.launch.render.build_context import write_build, write_compose
from tfs_deploy.launch.render.compose import compose_file, dockerfile, project_name, prometheus_file

FILES = Path(__file__).parents[2] / "config/golden"
GOLDEN = Path(__file__).parent / "golden"
NAMES = ["container", "container_full", "container_no_rest"]


@pytest.mark.parametrize("name", NAMES)
def test_golden_compose_files(name):
    text = compose_file(load_deployment(FILES / f"{name}.yaml"), "./config")
    assert text == (GOLDEN / f"{name}.compose.yaml").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_golden_dockerfiles(name):
    served = load_deployment(FILES / f"{name}.yaml")
    versions = {model.name: [model.base_path / "1", model.base_path / "00000002"] for model in served.models}
    assert dockerfile(served, versions) == (GOLDEN / f"{name}.Dockerfile").read_text()


def test_prometheus_scrapes_the_path_of_the_file():
    text = prometheus_file(load_deployment(FILES / "container_full.yaml"))
    (scrape,) = yaml.safe_load(text)["scrape_configs"]
    assert scrape["metrics_path"] == "/metrics"
    assert scrape["static_configs"] == [{"targets": ["server:8501"]}]


def test_dollars_are_no_variables_of_compose(tmp_path):
    path = tmp_path / "a.yaml"
    docker = "{target: docker, docker: {image: 'a/b:1', env: {PRICE: '$5'}}, flags: {saved_model_tags: 'a$b'}}"
    path.write_text(f"name: a\nmodels: [{{name: m, base_path: m}}]\nserver: {docker}\n")
    service = yaml.safe_load(compose_file(load_deployment(path), "./config"))["services"]["server"]
    assert service["environment"] == {"PRICE": "$$5"}
    assert "--saved_model_tags=a$$b" in service["command"]


def test_networks_and_labels_of_the_container(shop):
    docker = dataclasses.replace(shop.server.docker, networks=("back",), labels={"team": "a"}, shm_size=64 << 20)
    served = dataclasses.replace(shop, server=dataclasses.replace(shop.server, docker=docker))
    project = yaml.safe_load(compose_file(served, "./config"))
    assert project["networks"] == {"back": {"external": True}}
    service = project["services"]["server"]
    assert (service["networks"], service["labels"]) == (["default", "back"], {"team": "a"})
    assert service["shm_size"] == 64 << 20


@pytest.mark.parametrize(("name", "project"), [("Shop.A", "shop-a"), ("-x", "x"), ("a_b-1", "a_b-1"), ("..a", "a")])
def test_project_names(name, project):
    assert project_name(name) == project


@pytest.fixture
def shop(tmp_path, models):
    shutil.copytree(models / "saved_model_half_plus_two_2_versions", tmp_path / "hp")
    path = tmp_path / "shop.yaml"
    path.write_text(
        "name: shop\nserver: {target: docker, docker: {image: 'tensorflow/serving:2.19.1'}}\n"
        "models: [{name: hp, base_path: hp, versions: {specific: [124]}, labels: {stable: 124}}]\nmonitoring: {}\n"
    )
    return load_deployment(path, check_disk=True)


def test_a_compose_project_is_written_whole(shop, tmp_path):
    written = write_compose(shop, tmp_path / "out")
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in written)
    assert names == ["compose.yaml", "config/models.config", "config/monitoring.config", "prometheus.yml"]
    assert all(path.is_file() for path in written)


def test_a_build_context_holds_what_the_dockerfile_copies(shop, tmp_path):
    for _ in range(2):  # the second time over what the first one left
        write_build(shop, tmp_path / "out")
    copied = [line.split()[1] for line in (tmp_path / "out/Dockerfile").read_text().splitlines() if "COPY" in line]
    assert copied == ["config/", "models/hp/00000124/"]
    for name in copied:
        assert (tmp_path / "out" / name).is_dir()
    model = tmp_path / "out/models/hp/00000124/saved_model.pb"
    assert model.samefile(tmp_path / "hp/00000124/saved_model.pb")
    assert not (tmp_path / "out/models/hp/00000123").exists()


def with_tls(shop, folder, user: str | None):
    key, cert = folder / "k.pem", folder / "c.pem"
    for path in (key, cert):
        path.write_text("-----BEGIN X-----\n-----END X-----\n")
    key.chmod(0o600)
    server = dataclasses.replace(shop.server, docker=dataclasses.replace(shop.server.docker, user=user))
    return dataclasses.replace(shop, server=server, ssl=Ssl(key, cert))


def test_the_user_of_the_service_alone_reads_the_private_key(shop, tmp_path, monkeypatch):
    given: list[tuple[Path, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: given.append((path, uid, gid)))
    write_compose(with_tls(shop, tmp_path, "1000:1001"), tmp_path / "out")
    key = tmp_path / "out/config/ssl.config"
    assert key.stat().st_mode & 0o777 == 0o600
    assert given[-1] == (key, 1000, 1001)
    assert "keep it readable for user 1000:1001 alone" in (tmp_path / "out/compose.yaml").read_text()


@pytest.mark.parametrize(("uid", "user", "fits"), [(1000, "1000:1000", True), (1000, None, False), (1, "1000", False)])
def test_a_user_who_cannot_give_the_private_key_away(shop, tmp_path, monkeypatch, uid, user, fits):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    served = with_tls(shop, tmp_path, user)
    if fits:
        write_compose(served, tmp_path / "out")
        return
    with pytest.raises(UsageError, match=rf"could not read the private key of ssl in a file of user {uid}"):
        write_compose(served, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_the_user_of_the_service_may_not_read(shop, tmp_path):
    model = tmp_path / "hp/00000124/saved_model.pb"
    model.chmod(0o600)
    with pytest.raises(UsageError, match=f"may not read {model}"):
        write_compose(with_tls(shop, tmp_path, "64999:64999"), tmp_path / "out")


def test_env_of_a_dockerfile_is_taken_as_it_is(shop):
    def env(**values: str) -> list[str]:
        server = dataclasses.replace(shop.server, docker=dataclasses.replace(shop.server.docker, env=values))
        text = dockerfile(dataclasses.replace(shop, server=server), {"hp": []})
        return [line for line in text.splitlines() if line.startswith("ENV")]

    assert env(PRICE="$5 ${HOME}") == [r'ENV PRICE="\$5 \${HOME}"']
    assert env(NAME="Zürich ✓") == ['ENV NAME="Zürich ✓"']
    assert env(QUOTED='a "b" \\ c') == [r'ENV QUOTED="a \"b\" \\ c"']
    with pytest.raises(UsageError, match=r"LINES .* has a line break"):
        env(LINES="a\nb")


def test_no_private_key_gets_into_an_image(shop, tmp_path):
    with pytest.raises(UsageError, match="private key"):
        write_build(dataclasses.replace(shop, ssl=Ssl(tmp_path / "k", tmp_path / "c")), tmp_path / "out")


def test_without_an_image_there_is_nothing_to_render():
    with pytest.raises(UsageError, match="does not say which image"):
        compose_file(load_deployment(FILES / "one.yaml"), "./config")
