# SPDX-License-Identifier: Apache-2.0
"""The deployment files that come with the project: they load, and the reference shows every key."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import get_origin

import pytest
from pydantic import BaseModel

from tfs_deploy.deployment import Batching, Docker, Monitoring, Server, Ssl
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.deployment.file.schema import (
    SECTIONS,
    BatchingSection,
    DeploymentFile,
    DockerSection,
    MonitoringSection,
    ServerSection,
    SslSection,
)
from tfs_deploy.deployment.file.yaml_reader import read_yaml

#: all files here but policy.yaml are deployment files
CONFIGS = Path(__file__).parents[4] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("[!p]*.yaml")), ids=lambda path: path.name)
def test_every_file_in_configs_loads(path):
    assert load_deployment(path).models


def test_the_reference_shows_every_key():
    lines = read_yaml((CONFIGS / "reference.yaml").read_text()).lines
    shown = {tuple(part for part in path if isinstance(part, str)) for path in lines}
    wanted = {(*where, key) for where, section in SECTIONS.items() for key in section.model_fields}
    assert wanted - shown <= {("models", "versions", "all")}  # a word, not a key, in the file


def test_the_reference_explains_every_key_and_form():
    text = (CONFIGS / "reference.yaml").read_text()
    for where, section in SECTIONS.items():
        for key in section.model_fields:
            line = next(
                number
                for number, line in enumerate(text.splitlines())
                if f"{key}:" in line.partition("#")[0] or where == ("models", "versions")
            )
            above = text.splitlines()[max(line - 1, 0)].strip()
            assert above.startswith("#"), f"no comment above {key}"
    for form in ("latest", "{latest: 2}", "all", "{specific: [1, 2]}"):
        assert f"#   {form} " in text


def test_every_section_is_known_by_its_path():
    seen = set()

    def walk(section: type[BaseModel], path: tuple[str, ...]) -> None:
        assert SECTIONS[path] is section
        seen.add(path)
        for key, field in section.model_fields.items():
            for part in _models_in(field.annotation):
                walk(part, (*path, key))

    walk(DeploymentFile, ())
    assert seen == set(SECTIONS)


def _models_in(annotation) -> list[type[BaseModel]]:
    # On Python 3.10 dict[str, Any] counts as a type
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _models_in(part)]


@pytest.mark.parametrize(
    ("section", "values", "required"),
    [
        (ServerSection, Server, {}),
        (BatchingSection, Batching, {}),
        (MonitoringSection, Monitoring, {}),
        (DockerSection, Docker, {"image": "a:1"}),
        (SslSection, Ssl, {"key": "k", "cert": "c"}),
    ],
)
def test_sections_and_values_have_the_same_fields_and_defaults(section, values, required):
    assert list(section.model_fields) == [field.name for field in dataclasses.fields(values)]
    empty, plain = section(**required), values(**required)
    for field in dataclasses.fields(values):
        default = getattr(plain, field.name)
        assert getattr(empty, field.name) == (list(default) if isinstance(default, tuple) else default), field.name
