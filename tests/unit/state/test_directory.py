# SPDX-License-Identifier: Apache-2.0
"""The table of the state directory: complete, the same as on its page; no other package knows the names in it."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import tfs_deploy
from tfs_deploy.deployment import Deployment
from tfs_deploy.state import config_generations
from tfs_deploy.state.directory import FILES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "state-directory.md").read_text()
PACKAGE = Path(tfs_deploy.__file__).parent
OLD_STATE = ROOT / "tests" / "guard" / "data" / "unfinished_rollout" / "state"
#: modules outside the package that may join a name to a state directory: the deployment knows where its config is
ALLOWED = {"deployment/deployment.py": {"self.state_dir / 'config'"}}


def rows() -> list[str]:
    return [
        f"| `{file.name}` | {file.purpose} | {file.writers} | {file.readers} | {file.deletable} | {file.lock} | "
        f"{file.mode} | {file.version or '-'} |"
        for file in FILES
    ]


#: what stands for something in a name of the table -> what it stands for
STANDS_FOR = {"MODEL": r"[^/]+", "CONSUMER": r"[^/]+", "NNNN": r"\d{4,}", r"\.N": r"\.\d+", r"\*": r"[^/]+"}


def entries_for(path: str) -> list[str]:
    return [file.name for file in FILES if re.fullmatch(_pattern(file.name), path)]


def _pattern(name: str) -> str:
    pattern = re.escape(name)
    for word, meaning in STANDS_FOR.items():
        pattern = pattern.replace(word, meaning)
    return pattern


def test_the_page_has_the_table():
    assert [line for line in PAGE.splitlines() if line.startswith("| `")] == rows()


def test_every_file_that_the_guard_has_seen_is_in_the_table():
    recorded = json.loads((ROOT / "tests" / "guard" / "recorded" / "state_directory.json").read_text())
    for name in {name for found in recorded.values() for name in found}:
        path = name.replace("config.N", "config.1").replace("CONSUMER", "host-1-0a1b2c3d.jsonl")
        assert len(entries_for(path)) == 1, name


def test_every_file_of_an_old_state_directory_is_in_the_table():
    found = [path for path in OLD_STATE.rglob("*") if path.is_symlink() or path.is_file()]
    assert found
    for path in found:
        assert len(entries_for(str(path.relative_to(OLD_STATE)))) == 1, path


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("config", "config"),
        ("config.12/ssl.config", "config.N/*.config"),
        ("rollouts/a%2Fb/0001.jsonl", "rollouts/MODEL/NNNN.jsonl"),
        ("rollouts/digits/request", "rollouts/MODEL/request"),
        ("requests/digits/host-17-0a1b2c3d.jsonl", "requests/MODEL/CONSUMER.jsonl"),
        ("next-server.log.1", "next-server.log.1"),
    ],
)
def test_what_a_name_in_the_table_stands_for(path, name):
    assert entries_for(path) == [name]


@pytest.mark.parametrize("path", ["config.x/models.config", "rollouts/0001.jsonl", "server.jso", "active.json/x"])
def test_what_is_not_in_the_table(path):
    assert entries_for(path) == []


def test_the_deployment_knows_where_its_config_is(tmp_path):
    deployment = Deployment("a", tmp_path / "a.yaml", tmp_path / "state", ())
    assert deployment.config_dir == deployment.state_dir / config_generations.NAME


def joins(source: str) -> set[str]:
    """Return the expressions that join a name to a state directory, or look into one."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is_state_dir(node.left):
            found.add(ast.unparse(node))
        if isinstance(node, ast.Call):
            about = node.args if ast.unparse(node.func) in {"Path", "os.path.join"} else []
            looks = isinstance(node.func, ast.Attribute) and node.func.attr in {"joinpath", "glob", "rglob", "iterdir"}
            if (looks and _is_state_dir(node.func.value)) or (len(about) > 1 and _is_state_dir(about[0])):
                found.add(ast.unparse(node))
        if isinstance(node, ast.JoinedStr):
            places = [part for part in node.values if isinstance(part, ast.FormattedValue)]
            followed = re.findall(r"state_dir\}/", ast.unparse(node))
            if followed and any(_is_state_dir(part.value) for part in places):
                found.add(ast.unparse(node))
    return found


def _is_state_dir(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    if isinstance(node, ast.Call) and node.args:  # Path(state_dir), str(state_dir)
        return _is_state_dir(node.args[0]) or ast.unparse(node.func).endswith("state_dir_of")
    return name.endswith("state_dir")


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.parent != PACKAGE / "state"]


def test_no_other_module_joins_a_name_to_a_state_directory():
    found = {str(path.relative_to(PACKAGE)): joins(path.read_text()) for path in modules()}
    assert {name: names for name, names in found.items() if names} == ALLOWED


def test_no_other_module_holds_the_name_of_such_a_file():
    names = {part for file in FILES for part in file.name.split("/") if "." in part and "*" not in part}
    names -= {"server.log"}  # the demo's own folder has one too
    for path in modules():
        texts = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        assert not names & {text for text in texts if isinstance(text, str)}, path


@pytest.mark.parametrize(
    "source",
    [
        "deployment.state_dir / 'x'",
        "self._state_dir / NAME",
        "(Path(state_dir) / 'x').read_text()",
        "state_dir.joinpath('x')",
        "for path in state_dir.glob('*'): pass",
        "os.path.join(state_dir, 'x')",
        "state_dir_of(source, 'a') / 'x'",
        "f'{deployment.state_dir}/x'",
    ],
)
def test_a_join_is_found(source):
    assert joins(source)
