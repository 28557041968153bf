"""Compose files and Dockerfiles: whole files, and what must not get into them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import yaml

from tfs_deploy.deployment.deployment import Ssl
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import UsageError
from tfs_deploy.launch.render.build_context import write_build, write_compose
from tfs_deploy.launch.render.compose import compose_file, dockerfile, project_name, prometheus_file

FILES = Path(__file__).parents[1] / "config/golden"
GOLDEN = Path(__file__).parent / "golden/render"
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


def test_no_private_key_gets_into_an_image(shop, tmp_path):
    with pytest.raises(UsageError, match="private key"):
        write_build(dataclasses.replace(shop, ssl=Ssl(tmp_path / "k", tmp_path / "c")), tmp_path / "out")


def test_without_an_image_there_is_nothing_to_render():
    with pytest.raises(UsageError, match="does not say which image"):
        compose_file(load_deployment(FILES / "one.yaml"), "./config")
