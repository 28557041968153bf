# SPDX-License-Identifier: Apache-2.0
"""What a deployment file may say, and what is said back: every mistake at once, each with its line."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tfs_deploy.deployment import Batching, Model, Monitoring, Server, VersionPolicy
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import SpecError, UsageError

GOOD = """\
name: shop
server:
  grpc_port: 9000
  rest_port: 9001
models:
  - name: ranking
    base_path: models/ranking
    versions: {specific: [1, 2]}
    labels: {stable: 1, canary: 2}
    traffic: {stable: 90, canary: 10}
"""


@pytest.fixture
def write(tmp_path):
    def _write(text: str) -> Path:
        path = tmp_path / "shop.yaml"
        path.write_text(textwrap.dedent(text))
        return path

    return _write


def problems(path: Path, **options) -> list[str]:
    """The problems of a file without its folder."""
    with pytest.raises(SpecError) as caught:
        load_deployment(path, **options)
    assert caught.value.exit_code == 2
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_a_full_file_becomes_a_deployment(write):
    path = write(
        GOOD
        + """\
  - {name: other, base_path: /srv/other}
batching: {max_batch_size: 8, allowed_batch_sizes: [2, 8], pad_variable_length_inputs: true}
monitoring: {path: /metrics}
"""
    )
    deployment = load_deployment(path)
    assert deployment.name == "shop"
    assert deployment.source == path
    assert deployment.state_dir == path.parent / ".tfs-deploy" / "shop"
    assert deployment.server == Server("embedded", 9000, 9001, {})
    assert deployment.models == (
        Model(
            "ranking",
            path.parent / "models/ranking",
            VersionPolicy.specific([1, 2]),
            {"stable": 1, "canary": 2},
            {"stable": 90, "canary": 10},
        ),
        Model("other", Path("/srv/other"), VersionPolicy.latest()),
    )
    assert deployment.batching == Batching(
        max_batch_size=8, allowed_batch_sizes=(2, 8), pad_variable_length_inputs=True
    )
    assert deployment.monitoring == Monitoring(path="/metrics")


def test_the_smallest_file(write):
    deployment = load_deployment(write("name: a\nmodels: [{name: m, base_path: m}]\n"))
    assert deployment.server == Server()
    assert deployment.models[0].version_policy == VersionPolicy.latest(1)
    assert deployment.batching is None
    assert deployment.monitoring is None


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("latest", VersionPolicy.latest(1)),
        ("all", VersionPolicy.all()),
        ("{latest: 3}", VersionPolicy.latest(3)),
        ("{specific: [5, 2]}", VersionPolicy.specific([2, 5])),
        ("{specific: [9223372036854775807, 0]}", VersionPolicy.specific([0, 2**63 - 1])),
    ],
)
def test_version_policies(write, text, policy):
    path = write(f"name: a\nmodels:\n  - name: m\n    base_path: m\n    versions: {text}\n")
    assert load_deployment(path).models[0].version_policy == policy


def test_paths_start_at_the_file_whatever_the_working_directory(write, monkeypatch, tmp_path):
    write("name: a\nmodels: [{name: m, base_path: ../m/./x/}]\n")
    monkeypatch.chdir(tmp_path)
    assert load_deployment("shop.yaml").models[0].base_path == tmp_path.parent / "m/x"


def test_all_mistakes_at_once_in_file_order(write):
    path = write(
        """\
        name: shop
        server:
          target: embeded
          grpc_port: 9000
          rest_port: 9000
          flags: {grpc_max_thread: 4}
        models:
          - name: ranking
            base_path: nowhere
            versions: {specific: [1, 2]}
            labels: {stable: 1, canary: 3}
            traffic: {stable: 90, canry: 5}
          - name: ranking
            lables: {stable: 1}
        bathing: {}
        """
    )
    assert problems(path, check_disk=True) == [
        "shop.yaml:3: server.target: must be 'embedded' or 'docker', not the text 'embeded', did you mean 'embedded'?",
        "shop.yaml:5: server.rest_port: gRPC and REST cannot share port 9000",
        "shop.yaml:6: server.flags.grpc_max_thread: unknown flag 'grpc_max_thread', did you mean 'grpc_max_threads'?",
        f"shop.yaml:9: models[0].base_path: base path {path.parent}/nowhere does not exist".replace(
            f"{path.parent}/", ""
        ),
        "shop.yaml:11: models[0].labels.canary: version 3 is not served, versions.specific lists 1, 2",
        "shop.yaml:12: models[0].traffic: weights must sum to 100, not 95",
        "shop.yaml:12: models[0].traffic.canry: no label 'canry' in labels, did you mean 'canary'?",
        "shop.yaml:13: models[1].base_path: is missing",
        "shop.yaml:13: models[1].name: model 'ranking' is already defined at line 8",
        "shop.yaml:14: models[1].lables: unknown key, did you mean 'labels'?",
        "shop.yaml:15: bathing: unknown key, did you mean 'batching'?",
    ]


MISTAKES = (Path(__file__).parent / "mistakes.txt").read_text()
MARK = "  #! "


@pytest.mark.parametrize(
    "case", re.split(r"^== ", MISTAKES, flags=re.MULTILINE)[1:], ids=lambda case: case.partition("\n")[0]
)
def test_one_mistake_one_line(write, case):
    """Each case of mistakes.txt is a file; the mark stands on the line at fault, before what is to be said of it."""
    lines = case.splitlines()[1:]
    line, expected = next((number, line.partition(MARK)[2]) for number, line in enumerate(lines, 1) if MARK in line)
    path = write("\n".join(line.partition(MARK)[0] for line in lines) + "\n")
    assert problems(path) == [f"shop.yaml:{line}: {expected}"]


MODELS = "models: [{name: m, base_path: m}]\n"
LAUGHS = "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
SYNTAX = {
    "empty": ("", "1: is empty"),
    "only comments": ("# nothing\n", "1: is empty"),
    "a list": ("\n- a\n", "2: must be a mapping with keys such as name, server and models, not a list"),
    "a word": ("hello\n", "1: must be a mapping"),
    "a tab": ("name: a\nserver:\n\tgrpc_port: 1\n", "3: not YAML: a tab is used for indentation"),
    "unclosed bracket": ("name: a\nmodels: [1, 2\n", "not YAML: expected ',' or ']'"),
    "two colons": ("name: a\nserver: target: x\n", "2: not YAML: mapping values are not allowed here"),
    "unclosed quote": ("name: 'a\n", "1: not YAML: found unexpected end of stream"),
    "two documents": ("name: a\n---\nname: b\n", "2: holds a second document"),
    "control character": ("name: a\nserver: \x01\n", r"2: not YAML: character '\x01' is not allowed"),
    "unknown alias": ("name: *a\n", "1: not a deployment file: alias *a has no anchor"),
    "alias of itself": ("models: &m [*m]\n", "1: not a deployment file: alias *m refers to what it is part of"),
    "template": ("name: {{ name }}\n", "1: not a deployment file: a key is a list, a mapping or an alias"),
    "tag": ("name: !Env NAME\n" + MODELS, "1: name: tag !Env is not supported"),
    "merge key": ("name: a\n<<: {}\n" + MODELS, "2: <<: merge keys are not supported"),
    "deep": ("name: " + "[" * 1000 + "]" * 1000, "1: not a deployment file: nested too deeply"),
    "deep enough to break a parser": ("[" * 100_000, "1: not a deployment file: nested too deeply"),
    "deep by aliases": (
        "a0: &a0 [1]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(3000)),
        "not a deployment file: nested too deeply",
    ),
    "a billion laughs": ("a: &a [1, 1]\n" + LAUGHS, "aliases expand to too many values"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SYNTAX.values(), ids=SYNTAX)
def test_what_is_no_deployment_file_is_one_clear_line(write, text, expected):
    found = problems(write(text))
    assert len(found) == 1, found
    assert expected in found[0]


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_bytes(b"name: a\nserver: \xff\n")
    assert problems(path) == ["shop.yaml:2: not UTF-8 text: byte 0xff"]


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_deployment(path).name == "shop"


def test_anchors_and_aliases_work(write):
    path = write(
        "name: a\nmodels:\n  - {name: m, base_path: m, versions: &v {specific: [1]}}\n"
        "  - {name: n, base_path: n, versions: *v}\n"
    )
    assert [model.version_policy for model in load_deployment(path).models] == [VersionPolicy.specific([1])] * 2


def test_a_file_that_is_not_there_names_the_closest(write):
    path = write(GOOD)
    with pytest.raises(UsageError, match="does not exist") as caught:
        load_deployment(path.with_name("shap.yaml"))
    assert caught.value.hint == f"did you mean {path}?"


def test_other_yaml_files_are_not_offered(write):
    path = write(GOOD)
    for name, text in (
        ("action.yml", "name: verify\nruns: {using: composite}\n"),
        ("mkdocs.yml", "plugins: [models]\n"),
    ):
        (path.parent / name).write_text(text)
    (path.parent / ".pre-commit-hooks.yaml").write_text("- id: check\n  entry: models\n")
    (path.parent / "flow.yaml").write_text("{name: b, models: []}\n")
    for missing in ("zzzzzz.yaml", "mkdoc.yaml"):
        with pytest.raises(UsageError, match="does not exist") as caught:
            load_deployment(path.with_name(missing))
        assert caught.value.hint == f"deployment files in {path.parent}: flow.yaml, shop.yaml"


def test_a_directory_is_refused_with_the_files_in_it(write):
    path = write(GOOD)
    with pytest.raises(UsageError, match="is a directory") as caught:
        load_deployment(path.parent)
    assert "shop.yaml" in str(caught.value.hint)


def test_a_mistake_hides_nothing_around_it(write):
    path = write(GOOD.replace("rest_port: 9001", "rest_port: nine") + "batching: {max_batch_size: x, nope: 1}\n")
    assert [text.split(": ")[1] for text in problems(path)] == [
        "server.rest_port",
        "batching.max_batch_size",
        "batching.nope",
    ]


def test_batch_sizes_are_judged_beside_another_mistake_but_not_by_one(write):
    sizes = "allowed_batch_sizes: [8, 32, 16]"
    path = write(GOOD + f"batching: {{{sizes}, num_batch_threads: 0}}\n")
    assert [text.split(": ")[1] for text in problems(path)] == [
        "batching.allowed_batch_sizes",
        "batching.num_batch_threads",
    ]
    path = write(GOOD + "batching: {max_batch_size: x, allowed_batch_sizes: [8, 16]}\n")
    assert [text.split(": ")[1] for text in problems(path)] == ["batching.max_batch_size"]
