# SPDX-License-Identifier: Apache-2.0
"""What is written as YAML means the same to every reader."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.deployment.file import write_yaml
from tfs_deploy.deployment.file.variables import escaped
from tfs_deploy.deployment.file.yaml_reader import read_yaml

#: a plain scalar that the core schema of YAML 1.2 takes for something else than text (yaml.org/spec/1.2.2, 10.3.2)
CORE = re.compile(
    r"|~|null|Null|NULL|true|True|TRUE|false|False|FALSE|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"
)
ODD = ["1e3", "1234e56", "0o17", "017", "0x1f", "1_000", "1:30", ".inf", ".nan", "+.5", "-", "y", "N", "on", "No", "~"]
ODD += ["2024-01-01", "<<", "=", "null", "", "a: b", "#", "1.10", "8500:8500", "\ufeffa", "a\nb", "1e3\n", "caf\u00e9"]
texts = st.one_of(st.sampled_from(ODD), st.text(max_size=8), st.from_regex(CORE, fullmatch=True))
values = st.recursive(
    st.one_of(texts, st.integers(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, min_size=1, max_size=4))
def test_a_document_is_read_back_by_the_rules_of_both_versions(document):
    text = write_yaml(document)
    assert yaml.safe_load(text) == document
    parsed = read_yaml(write_yaml(escaped(document)))
    assert (parsed.data, parsed.problems) == (document, [])


@pytest.mark.parametrize("odd", ODD)
def test_what_looks_like_something_else_is_quoted(odd):
    assert write_yaml({odd: odd})[0] in "'\"?"
