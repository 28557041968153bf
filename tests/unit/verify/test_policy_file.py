# SPDX-License-Identifier: Apache-2.0
"""The policy file: what it says, what is wrong in it, and its JSON Schema."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from tfs_deploy.errors import SpecError, UsageError
from tfs_deploy.savedmodel.lint.policy import Policy
from tfs_deploy.verify.policies import read_policy
from tfs_deploy.verify.policy_file import PolicyKeys, json_schema

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "configs" / "policy.yaml"


def test_the_example_has_every_key() -> None:
    policy = read_policy(EXAMPLE)
    assert policy == Policy(
        name="policy.yaml",
        sha256=hashlib.sha256(EXAMPLE.read_bytes()).hexdigest(),
        deny=frozenset({"Print", "PrintV2"}),
        max_bytes=2_000_000_000,
        max_graph_bytes=100_000_000,
        required_signatures=("serving_default",),
        required_verdict_groups=("files", "load", "smoke", "parity"),
    )
    values = yaml.safe_load(EXAMPLE.read_text())
    assert values.keys() == PolicyKeys.model_fields.keys()
    jsonschema.Draft7Validator(json_schema()).validate(values)


def test_the_schemas_are_those_of_the_keys() -> None:
    for path in ("tfs_deploy/verify/policy.schema.json", "docs/policy.schema.json"):
        assert json.loads((ROOT / path).read_text()) == json_schema(), "run scripts/make_reference"


@pytest.mark.parametrize(
    ("text", "default_ops", "allow", "custom_ops"),
    [
        ("ops: {}", True, set(), False),
        ("ops: {allow: default}", True, set(), False),
        ("ops: {allow: [default, ReadFile]}\ncustom_ops: allow", True, {"ReadFile"}, True),
        ("ops: {allow: [MatMul, 'TFText>NgramsStringJoin']}", False, {"MatMul", "TFText>NgramsStringJoin"}, False),
        ("ops: {allow: []}", False, set(), False),
    ],
)
def test_allowed_ops(tmp_path, text, default_ops, allow, custom_ops) -> None:
    file = tmp_path / "strict.yaml"
    file.write_text(text)
    policy = read_policy(file)
    assert (policy.name, policy.default_ops, policy.allow) == ("strict.yaml", default_ops, allow)
    assert policy.custom_ops is custom_ops
    jsonschema.Draft7Validator(json_schema()).validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["1: not a mapping: a policy file has the keys ops, custom_ops, max_bytes, max_graph_bytes, "]),
        ("- a", ["1: not a mapping"]),
        ("ops: {deny: [WriteFiles]}", ["1: ops.deny[0]: unknown op 'WriteFiles', did you mean 'WriteFile'?"]),
        ("ops:\n  deny: [MyOp9]", ["2: ops.deny[0]: unknown op 'MyOp9', custom ops are refused anyway"]),
        ("ops: {allow: [Abs], deny: [Abs]}", ["1: ops.deny[0]: Abs is also allowed"]),
        ("ops: {allow: all}", ["1: ops.allow: must be a list, not the text 'all'"]),
        ("ops: {allow: ['a b']}", ["1: ops.allow[0]: not a valid name of an op"]),
        ("ops: {alow: []}", ["1: ops.alow: unknown key, did you mean 'allow'?"]),
        (
            "max_bytes: 0\nmax_graph_bytes: 2GB",
            ["1: max_bytes: must be at least 1", "2: max_graph_bytes: must be a wh"],
        ),
        ("custom_ops: deny", ["1: custom_ops: must be 'refuse' or 'allow', not the text 'deny'"]),
        ("required_verdict_groups: [smok]", ["1: required_verdict_groups[0]: must be 'files'"]),
        ("formats: []", ["1: formats: must list at least one"]),
        ("max_bytes: 1\nmax_bytes: 2", ["2: max_bytes: is given twice, first at line 1"]),
        ("a: !x 1", ["1: a: tag !x is not supported in a policy file"]),
        ("ops: {}\n---\nops: {}", ["2: holds a second document (---); a policy file is a single document"]),
        ("custom_ops: ${HOME}", ["1: custom_ops: must be 'refuse' or 'allow', not the text '${HOME}'"]),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path, text, problems) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_policy(file)
    said = [f"{each.line}: {each.path}: {each.message}".replace(": : ", ": ") for each in caught.value.problems]
    assert len(said) == len(problems)
    assert [line[: len(wanted)] for line, wanted in zip(said, problems, strict=True)] == problems


def test_a_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"policy file .*none\.yaml does not exist"):
        read_policy(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="is a directory, not a policy file"):
        read_policy(tmp_path)
