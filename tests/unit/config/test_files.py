# SPDX-License-Identifier: Apache-2.0
"""Every kind of config file: what is written is read as the same message, and a mistake has its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import protos
from tfs_deploy.config.batching import batching_parameters
from tfs_deploy.config.files import KINDS, config_files, parse_config_file
from tfs_deploy.config.monitoring import monitoring_config
from tfs_deploy.deployment import Batching, Monitoring
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import SpecError

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.yaml"))
counts = st.none() | st.integers(1, 2**31 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_what_a_deployment_file_generates(path):
    files = config_files(load_deployment(path))
    for name, text in files.items():
        message = parse_config_file(name, text)
        assert protos.to_text(message) == ("" if text.startswith("#") else text)
        assert type(message)().FromString(message.SerializeToString()) == message


def test_no_file_is_empty_for_the_server_maps_it_into_memory(tmp_path):
    (tmp_path / "nothing.pbtxt").write_text("# nothing\n")
    path = tmp_path / "a.yaml"
    path.write_text(
        "name: a\nbatching: {}\nmonitoring: {prometheus: false}\nmodels: [{name: m, base_path: m}]\n"
        "server: {session_config: nothing.pbtxt, platform_config: nothing.pbtxt}\n"
    )
    files = config_files(load_deployment(path))
    assert len(files) == 5
    assert all(files.values())
    for name, text in files.items():
        parse_config_file(name, text)


def test_there_are_golden_files_of_every_kind():
    kinds = {name for path in GOLDEN for name in config_files(load_deployment(path))}
    assert kinds == set(KINDS)
    assert len(GOLDEN) >= 10


@given(
    st.builds(
        Batching,
        max_batch_size=counts,
        batch_timeout_micros=st.none() | st.integers(0, 2**63 - 1),
        max_enqueued_batches=counts,
        num_batch_threads=counts,
        allowed_batch_sizes=st.lists(st.integers(1, 2**31 - 1), max_size=4).map(tuple),
        pad_variable_length_inputs=st.none() | st.booleans(),
        enable_large_batch_splitting=st.none() | st.booleans(),
        max_execution_batch_size=counts,
    )
)
def test_batching_parameters(batching):
    message = batching_parameters(batching)
    assert parse_config_file("batching.config", protos.to_text(message)) == message


@given(st.booleans(), texts)
def test_monitoring(prometheus, path):
    message = monitoring_config(Monitoring(prometheus, path))
    assert parse_config_file("monitoring.config", protos.to_text(message)) == message


@given(texts, texts, texts, st.booleans())
def test_tls_contents(key, cert, ca, verify):
    message = protos.SSLConfig(server_key=key, server_cert=cert, custom_ca=ca, client_verify=verify)
    assert parse_config_file("ssl.config", protos.to_text(message)) == message


@pytest.mark.parametrize("name", KINDS)
def test_a_mistake_has_its_line(name):
    with pytest.raises(SpecError) as caught:
        parse_config_file(name, "# a comment\n\nno_such_field: 1\n", source="x")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("x", 3)
    assert "no_such_field" in problem.message


@pytest.mark.parametrize("name", ["batching_config.txt", "monitoring.config", "monitoring_config.txt"])
def test_real_examples(models, name):
    kind = "batching.config" if "batching" in name else "monitoring.config"
    text = (models / name).read_text()
    message = parse_config_file(kind, text)
    assert parse_config_file(kind, protos.to_text(message)) == message
