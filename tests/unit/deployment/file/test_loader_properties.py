# SPDX-License-Identifier: Apache-2.0
"""Whatever a file holds, the answer is a deployment or a list of problems with lines that exist."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.deployment.file.schema import SECTIONS
from tfs_deploy.deployment.file.yaml_reader import read_yaml
from tfs_deploy.errors import SpecError

KEYS = sorted({key for section in SECTIONS.values() for key in section.model_fields} | {"stable", "x", ""})
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 70000), st.floats(), st.text(max_size=5), st.sampled_from(KEYS)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.sampled_from(KEYS), scalars), inner, max_size=4)
    ),
    max_leaves=20,
)
any_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def load(path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with contextlib.suppress(SpecError):
        load_deployment(path, check_disk=True)
        return
    with pytest.raises(SpecError) as caught:
        load_deployment(path, check_disk=True)
    found = [problem.line for problem in caught.value.problems]
    assert found == sorted(found)
    assert found[0] >= 1
    assert found[-1] <= max(len(text.splitlines()), 1) + 1
    assert all(problem.message for problem in caught.value.problems)


@any_folder
@given(values)
def test_any_tree_is_answered(tmp_path, value):
    load(tmp_path / "a.yaml", yaml.safe_dump(value, allow_unicode=True))


@any_folder
@given(st.text(alphabet=st.sampled_from("ab01:-[]{},&*!|>'\"#%@ \t\n?~"), max_size=60))
def test_any_text_is_answered(tmp_path, text):
    load(tmp_path / "a.yaml", text)


@any_folder
@given(
    st.dictionaries(st.sampled_from(KEYS[1:]), values, max_size=5),
    st.sampled_from(["server", "batching", "monitoring"]),
)
def test_any_section_is_answered(tmp_path, section, where):
    document = {"name": "a", "models": [{"name": "m", "base_path": "m", **section}], where: section}
    load(tmp_path / "a.yaml", yaml.safe_dump(document))


@given(values)
def test_values_of_quoted_yaml_come_back(value):
    """What PyYAML writes is read as PyYAML reads it, wherever nothing is refused."""
    text = yaml.safe_dump(value, allow_unicode=True)
    tree = read_yaml(text)
    if not tree.problems and isinstance(tree.data, (dict, list)):
        assert repr(tree.data) == repr(_with_text_keys(yaml.safe_load(text)))


def _with_text_keys(value):
    if isinstance(value, dict):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("line", [1, 2, 7, 400])
def test_a_problem_is_on_the_line_of_its_key(tmp_path, line):
    path = tmp_path / "a.yaml"
    path.write_text("\n" * (line - 1) + "colour: red\nname: a\nmodels: [{name: m, base_path: m}]\n")
    with pytest.raises(SpecError) as caught:
        load_deployment(path)
    assert [problem.line for problem in caught.value.problems] == [line]
