# SPDX-License-Identifier: Apache-2.0
"""Environment variables in a deployment file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.deployment.file.variables import escaped, substituted
from tfs_deploy.errors import SpecError

SET = {"A": "one", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "one"),
        ("x/${A}/${A}", "x/one/one"),
        ("${A:-two}", "one"),
        ("${NONE:-two}", "two"),
        ("${NONE:-}", ""),
        ("${EMPTY}", ""),
        ("${EMPTY:-two}", "two"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $ {A} $(A) ${A", "$A $ {A} $(A) ${A"),
    ],
)
def test_what_stands_for_a_variable(text, expected):
    assert substituted(text, SET) == (expected, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${NONE}", "variable NONE is not set: export it, or write ${NONE:-default}"),
        ("${}", "${} is not a valid variable: write ${NAME} or ${NAME:-default}, or $${ for the text"),
        ("${A-x}", "${A-x} is not a valid variable"),
        ("${1}", "${1} is not a valid variable"),
    ],
)
def test_what_is_refused(text, problem):
    found, problems = substituted(text, SET)
    assert found == text
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@given(st.text(st.sampled_from("$${}A:-x"), max_size=12))
def test_an_escaped_text_says_itself(text):
    assert substituted(escaped(text), {}) == (text, [])


def test_a_plain_value_is_read_as_if_it_stood_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PORT", "8700")
    monkeypatch.setenv("MODELS", "/srv: {x: 1}")
    path = tmp_path / "a.yaml"
    path.write_text("name: a\nserver:\n  grpc_port: ${PORT}\nmodels: [{name: m, base_path: '${MODELS}/m'}]\n")
    deployment = load_deployment(path)
    assert deployment.server.grpc_port == 8700
    assert str(deployment.models[0].base_path) == "/srv: {x: 1}/m"


def test_a_mistake_has_its_line_and_the_others_are_said_too(tmp_path, monkeypatch):
    monkeypatch.delenv("NONE", raising=False)
    monkeypatch.setenv("PORT", "010")
    path = tmp_path / "a.yaml"
    path.write_text("name: a\nserver:\n  grpc_port: ${PORT}\nmodels:\n  - name: m\n    base_path: ${NONE}/m\n")
    with pytest.raises(SpecError) as caught:
        load_deployment(path)
    first, second = (str(problem) for problem in caught.value.problems)
    assert "a.yaml:3: server.grpc_port: 010 is octal in YAML 1.1" in first
    assert "a.yaml:6: models[0].base_path: variable NONE is not set" in second
