# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of the deployment file: what the loader takes is valid by it, and most of what it refuses is not."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from tfs_deploy.config.command_line import CONTAINER_DEFAULTS, DEFAULTS
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.deployment.file.editor import SCHEMA_FILE, schema_comment
from tfs_deploy.deployment.file.schema import SECTIONS
from tfs_deploy.deployment.flags import DERIVED_FLAGS, FLAGS
from tfs_deploy.errors import SpecError

ROOT = Path(__file__).parents[4]
SCHEMA = json.loads(SCHEMA_FILE.read_text())
VALIDATOR = Draft7Validator(SCHEMA)


class Core(yaml.SafeLoader):
    """Reads scalars by the core schema of YAML 1.2, as editors do (yaml.org/spec/1.2.2, 10.3.2)."""

    yaml_implicit_resolvers: ClassVar[dict] = {}


FORMS = {
    "null": r"|~|null|Null|NULL",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN",
}
for kind, form in FORMS.items():
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(rf"(?:{form})\Z"), None)
Core.add_constructor(
    "tag:yaml.org,2002:int",
    lambda loader, node: int(node.value, 0 if node.value[:2] in ("0o", "0x") else 10),
)


class Plain(str):
    """A text that is written without quotes, whatever it looks like."""

    __slots__ = ()


class Writer(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


Writer.add_representer(Plain, lambda writer, text: writer.represent_str(f"plain-{text.encode().hex()}-plain"))
Writer.add_representer(
    str,
    lambda writer, text: writer.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "${" in text else None),
)


def written(document) -> str:
    text = yaml.dump(document, Dumper=Writer, sort_keys=False, allow_unicode=True)
    return re.sub(r"plain-(\w+)-plain", lambda match: bytes.fromhex(match[1]).decode(), text)


names = st.from_regex(r"[a-z][a-z0-9_.-]{0,6}", fullmatch=True)
numbers = st.integers(1, 9)
sizes = st.sampled_from(["512m", "4g", "64M", "1000000000"])


@st.composite
def model_sections(draw):
    section = {"name": draw(names), "base_path": f"models/{draw(names)}"}
    served = sorted(draw(st.sets(numbers, min_size=1, max_size=3)))
    form = draw(st.sampled_from(["none", "latest", "all", "newest", "specific", "labels", "traffic"]))
    if form in ("latest", "all"):
        section["versions"] = form
    elif form == "newest":
        section["versions"] = {"latest": draw(numbers)}
    elif form != "none":
        section["versions"] = {"specific": served}
    if form in ("labels", "traffic"):
        section["labels"] = {"stable": served[0], "canary": served[-1]}
    if form == "traffic":
        section["traffic"] = {"stable": 62.5, "canary": 37.5} if draw(st.booleans()) else {"stable": 100}
    return section


FLAG_VALUES = {
    "rest_api_timeout_in_ms": 5000,
    "num_load_threads": 2,
    "enable_profiler": True,
    "saved_model_tags": "serve,gpu",
    "tensorflow_intra_op_parallelism": 2,
    "grpc_channel_arguments": "grpc.max_concurrent_streams=8",
}
flags = st.dictionaries(st.sampled_from(sorted(FLAG_VALUES)), st.none(), max_size=3).map(
    lambda chosen: {name: FLAG_VALUES[name] for name in chosen}
)
dockers = st.fixed_dictionaries(
    {"image": st.sampled_from(["tensorflow/serving:2.19.1", "a/b@sha256:" + "0" * 64])},
    optional={
        "serving_version": st.just("2.19"),
        "allow_newer_tensorflow": st.booleans(),
        "address": st.sampled_from(["0.0.0.0", "::1"]),
        "user": st.sampled_from(["1000:1000", "0"]),
        "memory": sizes,
        "cpus": st.sampled_from([1, 2.5]),
        "env": st.dictionaries(st.from_regex(r"[A-Z_]{1,5}", fullmatch=True), names, max_size=2),
        "mounts": st.lists(st.just({"source": "a", "target": "/a", "read_only": False}), max_size=1),
        "restart": st.sampled_from(["never", "always"]),
        "log_max_size": st.just("5m"),
        "log_max_files": numbers,
        "pull": st.sampled_from(["missing", "never"]),
        "networks": st.lists(names, max_size=2, unique=True),
        "labels": st.dictionaries(names, names, max_size=2),
        "shm_size": sizes,
        "platform": st.just("linux/arm64"),
        "pids": st.integers(10, 99),
    },
)
servers = st.fixed_dictionaries(
    {},
    optional={
        "target": st.just("embedded"),
        "grpc_port": st.integers(1, 8000),
        "rest_port": st.integers(8001, 65535),
        "flags": flags,
        "alternate_ports": st.just({"grpc_port": 65534, "rest_port": 65535}),
        "session_config": names,
        "op_libraries": st.lists(names, max_size=2),
        "embedded": st.fixed_dictionaries({}, optional={"address": st.just("::"), "remote_reload": st.booleans()}),
    },
)
contained = st.builds(lambda server, docker: {**server, "target": "docker", "docker": docker}, servers, dockers)
documents = st.fixed_dictionaries(
    {
        "name": names,
        "models": st.lists(
            model_sections(), min_size=1, max_size=2, unique_by=(lambda it: it["name"], lambda it: it["base_path"])
        ),
    },
    optional={
        "server": st.one_of(servers, contained),
        "batching": st.sampled_from(
            [{}, {"max_batch_size": 8, "allowed_batch_sizes": [4, 8]}, {"num_batch_threads": 2}]
        ),
        "monitoring": st.sampled_from([{}, {"prometheus": True, "path": "/metrics"}]),
        "ssl": st.sampled_from(
            [{"key": "k", "cert": "c"}, {"key": "k", "cert": "c", "ca": "a", "client_verify": True}]
        ),
        "state": names,
    },
)
PLAIN = ["~", "1e3", "+5", "017", "0o17", "0x1f", ".inf", "-.INF", ".nan", "TRUE", "False", "yes", "2024-01-01"]
PLAIN += ["1_000", "1:30", "8500.0", "9" * 19, "9" * 40]
PLAIN += ["${PORT}", "${UNSET:-7}", "${WORD}", "${BAD", "$${PORT}", "a${WORD}"]
odd = st.one_of(
    st.sampled_from([Plain(text) for text in PLAIN]),
    st.sampled_from([None, True, False, 0, -1, 1, 2.5, 70000, 2**31, 2**63, "", "a b", "0", "latest", "embedded"]),
    st.sampled_from([[], {}, [1], ["a"], {"latest": 2}, {"specific": [1]}, {"a": 1}, {"a": "b"}]),
)


def places(value, path=()):
    """Return the path of every value below ``value``."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in items for place in [(*path, key), *places(inner, (*path, key))]]


@st.composite
def mutated(draw):
    """A valid document with up to two changes: another value, a variable for it, a key that is renamed or missing."""
    document = copy.deepcopy(draw(documents))
    for _ in range(draw(st.sampled_from([0, 1, 1, 2]))):
        *where, key = draw(st.sampled_from(places(document)))
        parent = document
        for part in where:
            parent = parent[part]
        how = draw(st.sampled_from(["odd", "odd", "variable", "variable", "drop", "rename"]))
        if how == "odd":
            parent[key] = copy.deepcopy(draw(odd))
        elif how == "variable" and not isinstance(parent[key], (dict, list)):
            text = json.dumps(parent[key]) if not isinstance(parent[key], str) else parent[key]
            parent[key] = Plain(f"${{UNSET:-{text}}}")
        elif how == "drop":
            del parent[key]
        elif isinstance(parent, dict):
            parent[f"{key}{draw(st.sampled_from(['s', ' ', '1']))}"] = parent.pop(key)
    return document


def loaded(path: Path) -> list[str]:
    """Return what the loader says of a file, nothing if it takes it."""
    try:
        load_deployment(path)
    except SpecError as error:
        return [f"{problem.path}: {problem.message}" for problem in error.problems]
    return []


def complaints(text: str) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(yaml.load(text, Core))]


@pytest.fixture
def verdicts(tmp_path, monkeypatch):
    for name, value in {"PORT": "9000", "WORD": "word"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("UNSET", raising=False)
    seen: Counter[str] = Counter()
    laxer: Counter[str] = Counter()

    def judge(text: str) -> None:
        path = tmp_path / "a.yaml"
        path.write_text(text, encoding="utf-8")
        problems = loaded(path)
        try:
            errors = complaints(text)
        except (yaml.YAMLError, ValueError) as error:
            errors = [str(error)]
        assert problems or not errors, f"the schema is stricter: {errors}\n{text}"
        seen["both refuse" if errors else "only the loader refuses" if problems else "both take"] += 1
        if problems and not errors:
            kind = re.sub(r"'[^']*'|[-\d.]+", "_", problems[0].partition(": ")[2])
            laxer[kind] += 1

    yield judge, seen, laxer
    print(dict(seen))
    for kind, count in laxer.most_common():
        print(f"{count:5} {kind}")


def test_the_loader_takes_nothing_that_the_schema_refuses(verdicts):
    judge, seen, laxer = verdicts

    @settings(max_examples=500, suppress_health_check=list(HealthCheck))
    @given(mutated())
    def compare(document):
        judge(written(document))

    compare()
    assert min(seen["both take"], seen["both refuse"]) >= 100, seen
    # what keys have to do with each other, and what variables stand for
    assert seen["only the loader refuses"] < 50, laxer


def test_a_variable_may_stand_for_every_single_value(verdicts):
    judge, seen, _ = verdicts
    document = yaml.load((ROOT / "configs/reference.yaml").read_text(), Core)
    for *where, key in places(document):
        copied = copy.deepcopy(document)
        parent = copied
        for part in where:
            parent = parent[part]
        if not isinstance(parent[key], (dict, list)):
            text = parent[key] if isinstance(parent[key], str) else json.dumps(parent[key])
            parent[key] = (str if isinstance(parent[key], str) else Plain)(f"${{UNSET:-{text}}}")
            judge(written(copied))
    assert set(seen) == {"both take"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("colour: red", "$"),
        ("server: {grpc_prot: 1}", "$.server"),
        ("server: {grpc_port: '8500'}", "$.server.grpc_port"),
        ("server: {grpc_port: 0}", "$.server.grpc_port"),
        ("server: {target: dokcer}", "$.server.target"),
        ("server: {flags: {num_load_thread: 1}}", "$.server.flags"),
        ("server: {flags: {port: 1}}", "$.server.flags"),
        ("server: {flags: {num_load_threads: true}}", "$.server.flags.num_load_threads"),
        ("server: {docker: {image: a, memory: 4 GB}}", "$.server.docker.memory"),
        ("server: {docker: {image: a, gpus: 0}}", "$.server.docker.gpus"),
        ("server: {docker: {image: a, env: {1A: b}}}", "$.server.docker.env"),
        ("models: []", "$.models"),
        ("models: [{name: a b, base_path: a}]", "$.models[0].name"),
        ("models: [{name: a, base_path: a, versions: 1}]", "$.models[0].versions"),
        ("models: [{name: a, base_path: a, versions: {latest: 1, specific: [1]}}]", "$.models[0].versions"),
        ("models: [{name: a, base_path: a, traffic: {stable: 101}}]", "$.models[0].traffic.stable"),
        ("ssl: {key: a, cert: b, client_key: c}", "$.ssl"),
        ("batching:", "$.batching"),
    ],
)
def test_a_mistake_is_flagged_where_it_is(text, place):
    smallest = {"name": "a", "models": [{"name": "m", "base_path": "m"}]}
    errors = list(VALIDATOR.iter_errors(smallest | yaml.load(text, Core)))
    assert [error.json_path for error in errors] == [place]


def test_it_is_a_valid_schema_that_says_what_every_key_means():
    Draft7Validator.check_schema(SCHEMA)
    assert "$ref" not in SCHEMA_FILE.read_text()
    for path, section in SECTIONS.items():
        if path == ("models", "versions"):
            continue
        node = SCHEMA
        for part in path:
            node = node["properties"][part]
            node = node.get("items", node)
        assert node["additionalProperties"] is False
        assert list(node["properties"]) == list(section.model_fields)
        for key, field in section.model_fields.items():
            shown = node["properties"][key]
            assert shown["description"].endswith("."), key
            assert (key in node.get("required", [])) == field.is_required()
            if isinstance(field.default, (bool, int, str)):
                assert shown["default"] == field.default


def test_it_knows_every_flag_that_a_file_may_set():
    known = SCHEMA["properties"]["server"]["properties"]["flags"]["properties"]
    assert known.keys() == FLAGS.keys() - DERIVED_FLAGS.keys()
    for name, value in (DEFAULTS | CONTAINER_DEFAULTS | FLAG_VALUES).items():
        assert Draft7Validator(known[name]).is_valid(value), name


def of_a_deployment_file(block: str) -> bool:
    document = yaml.load(block, Core)
    return isinstance(document, dict) and document.keys() <= SCHEMA["properties"].keys()


BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for number, block in enumerate(re.findall(r"^ *```yaml\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL))
    if of_a_deployment_file(block)
]


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_of_the_docs_are_valid(block):
    document = yaml.load(block, Core)
    part = {**SCHEMA, "required": []}
    assert [error.message for error in Draft7Validator(part).iter_errors(document)] == []


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("[!p]*.yaml")), ids=lambda path: path.name)
def test_files_in_configs_are_valid(path):
    assert complaints(path.read_text()) == []


@pytest.mark.parametrize("text", [".inf", "-.INF", "+.Inf", ".nan", ".NAN"])
def test_what_yaml_takes_for_a_special_number_is_no_text(tmp_path, text):
    (tmp_path / "a.yaml").write_text(f"name: a\nmodels: [{{name: m, base_path: m}}]\nstate: {text}\n")
    (problem,) = loaded(tmp_path / "a.yaml")
    assert problem == f"state: {text} is ambiguous: write a plain decimal number, or put it in quotes"


def test_a_file_names_the_schema_so_that_it_is_found_without_a_network(tmp_path, monkeypatch):
    installed = tmp_path / "shop/.venv/site-packages/deployment.schema.json"
    monkeypatch.setattr("tfs_deploy.deployment.file.editor.SCHEMA_FILE", installed)
    assert schema_comment() == f"# yaml-language-server: $schema={installed}\n"
    assert schema_comment(tmp_path / "other") == schema_comment()
    inside = "# yaml-language-server: $schema=.venv/site-packages/deployment.schema.json\n"
    assert schema_comment(tmp_path / "shop") == inside
    installed.parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "shop")
    assert schema_comment(Path()) == inside
    monkeypatch.setattr("tfs_deploy.deployment.file.editor.SCHEMA_FILE", Path("/a b/s.json"))
    assert schema_comment() == "# yaml-language-server: $schema=file:///a%20b/s.json\n"
    assert schema_comment(Path("/a b")) == "# yaml-language-server: $schema=s.json\n"
