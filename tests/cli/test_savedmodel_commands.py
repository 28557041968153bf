# SPDX-License-Identifier: Apache-2.0
"""inspect, lint and diff: what they print, what they exit with."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from support.forked_command import run_command
from tfs_deploy.savedmodel.manifest import build_manifest, write_manifest

EXPECTED = Path(__file__).parent / "expected"


def cli(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, cwd=cwd)


@pytest.fixture
def zoo(models, tmp_path) -> Path:
    """A base path with two versions that may be changed."""
    return Path(shutil.copytree(models / "zoo", tmp_path / "zoo"))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("inspect_half_plus_two", ["inspect", "saved_model_half_plus_two_cpu"]),
        ("inspect_one_signature", ["inspect", "zoo/1", "--signature", "two", "--model", "animals"]),
        ("inspect_half_plus_two_tf2", ["inspect", "saved_model_half_plus_two_tf2_cpu", "--no-requests"]),
        ("lint_zoo", ["lint", "zoo"]),
        ("lint_counter", ["lint", "saved_model_counter", "--ignore", "TFS5,TFS114"]),
        ("diff_zoo", ["diff", "zoo/1", "zoo/2"]),
        ("diff_tf1_tf2", ["diff", "saved_model_half_plus_two_cpu", "saved_model_half_plus_two_tf2_cpu"]),
    ],
)
def test_output(models, name: str, arguments: list[str]) -> None:
    result = cli(*arguments, cwd=models)
    assert result.stderr == ""
    assert result.stdout == (EXPECTED / f"{name}.txt").read_text(encoding="utf-8")
    assert result.returncode == (1 if name == "diff_tf1_tf2" else 0)


@pytest.mark.parametrize("command", ["inspect", "lint", "diff"])
@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda v: (v / "saved_model.pb").unlink(), "saved_model.pb"),
        (lambda v: (v / "saved_model.pb").write_bytes(b""), "saved_model.pb"),
        (lambda v: (v / "saved_model.pb").write_bytes((v / "saved_model.pb").read_bytes()[:5000]), "saved_model.pb"),
        (lambda v: (v / "variables/variables.index").unlink(), "variables.index"),
        (lambda v: (v / "variables/variables.index").write_bytes(b""), "variables.index"),
        (lambda v: (v / "variables/variables.data-00000-of-00001").write_bytes(bytes(1252)), "00000-of-00001"),
        (lambda v: (v / "variables/variables.data-00000-of-00001").write_bytes(b""), "00000-of-00001"),
        (shutil.rmtree, "2 does not exist"),
    ],
)
def test_damage_is_a_bad_argument(zoo, command: str, damage, named: str) -> None:
    version = zoo / "2"
    damage(version)
    result = cli(command, version, *([zoo / "1"] if command == "diff" else []))
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"error: {version}")
    assert named in result.stderr.splitlines()[0]
    assert "hint: " in result.stderr
    assert "Traceback" not in result.stderr


def test_errors_as_json(tmp_path) -> None:
    result = cli("inspect", tmp_path, "--json")
    document = json.loads(result.stdout)
    assert result.returncode == document["error"]["exit_code"] == 2
    assert document["error"]["type"] == "ModelError"


def test_inspect_json_is_complete(zoo) -> None:
    document = json.loads(cli("inspect", zoo, "--json").stdout)
    assert document["version"] == 2
    assert document["signatures"]["two"]["inputs"]["b"] == {"dtype": "int64", "shape": [None], "tensor": "two_b:0"}
    assert document["variables"]["bytes"] == 8
    assert document["graph"]["ops"]["StatefulPartitionedCall"] > 0


def test_inspect_check(zoo) -> None:
    version = zoo / "2"
    write_manifest(version, build_manifest(version, signature_digest=""))
    good = cli("inspect", version, "--check", "--no-requests")
    assert good.returncode == 0
    assert good.stdout.endswith("└── check: all files are as exported\n")
    path = version / "saved_model.pb"
    path.write_bytes(path.read_bytes().replace(b"strs", b"strz"))
    bad = cli("inspect", version, "--check")
    assert bad.returncode == 1
    assert "saved_model.pb: changed, its sha256 differs" in bad.stderr
    assert "check: FAILED" in bad.stdout
    as_json = cli("inspect", version, "--check", "--json")
    assert as_json.returncode == 1
    assert as_json.stderr == ""
    problems = ["saved_model.pb: changed, its sha256 differs"]
    assert json.loads(as_json.stdout)["check"] == {"ok": False, "problems": problems}


def test_inspect_check_without_manifest(zoo) -> None:
    result = cli("inspect", zoo, "--check")
    assert result.returncode == 2
    assert "tfs_deploy.json does not exist" in result.stderr


def test_unknown_signature_names_the_nearest(zoo) -> None:
    result = cli("inspect", zoo, "--signature", "serving_defalt")
    assert result.returncode == 2
    assert "did you mean 'serving_default'?" in result.stderr


def test_lint_exit_codes(zoo) -> None:
    assert cli("lint", zoo).returncode == 0
    assert cli("lint", zoo, "--fail-on", "warning").returncode == 1
    assert cli("lint", zoo, "--fail-on", "info", "--select", "TFS2").returncode == 0
    newer = cli("lint", zoo, "--image-version", "tensorflow/serving:2.19.1", "--quiet")
    assert newer.returncode == 1
    assert newer.stdout == ""
    assert "TFS207" in newer.stderr
    assert cli("lint", zoo, "--image-version", "2.21").returncode == 0


@pytest.mark.parametrize(
    ("server", "code", "message"),
    [
        ("{target: docker, docker: {image: 'tensorflow/serving:2.19.1'}}", 1, "TFS207"),
        ("{target: docker, docker: {image: 'tensorflow/serving:2.99.0'}}", 0, ""),
        ("{target: docker, docker: {image: 'tensorflow/serving:2.19.1', allow_newer_tensorflow: true}}", 0, ""),
        ("{target: docker, docker: {image: 'shop/serving:blue', serving_version: '2.5'}}", 1, "TFS207"),
        ("{target: docker, docker: {image: 'shop/serving:blue'}}", 2, "the server's version is unknown"),
        ("{target: embedded}", 2, "names no image"),
    ],
)
def test_lint_for_the_image_of_a_deployment_file(zoo, tmp_path, server: str, code: int, message: str) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(f"name: shop\nserver: {server}\nmodels: [{{name: zoo, base_path: zoo, versions: all}}]\n")
    result = cli("lint", zoo, "--deployment", file, "--quiet")
    assert (result.returncode, result.stdout) == (code, "")
    assert message in result.stderr
    both = cli("lint", zoo, "--deployment", file, "--image-version", "2.20")
    assert both.returncode == 2
    assert "drop one of them" in both.stderr


@pytest.mark.parametrize(("flag", "code"), [("cpu", 0), ("gpu", 0), ("none", 1)])
def test_lint_for_a_server_that_compiles(models, tmp_path, flag: str, code: int) -> None:
    flags = {} if flag == "none" else {f"xla_{flag}_compilation_enabled": True}
    docker = "{image: 'tensorflow/serving:2.99.0'}"
    file = tmp_path / "shop.yaml"
    file.write_text(
        f"name: shop\nserver: {{target: docker, flags: {json.dumps(flags)}, docker: {docker}}}\n"
        f"models: [{{name: compiled, base_path: {models / 'compiled'}}}]\n"
    )
    result = cli("lint", models / "compiled", "--deployment", file)
    assert result.returncode == code
    assert ("xla_cpu_compilation_enabled: true in the deployment file" in result.stdout) == bool(code)


def test_lint_json(zoo) -> None:
    (zoo / "3").write_text("")
    result = cli("lint", zoo / "2", "--json", "--select", "TFS4,float64-input")
    document = json.loads(result.stdout)
    assert result.returncode == 1
    assert document["ok"] is False
    assert document["rules_applied"] == 7
    assert document["summary"] == {"error": 1, "warning": 1, "info": 0}
    assert [(f["rule"], f["name"], f["severity"], f["where"]) for f in document["findings"]] == [
        ("TFS108", "float64-input", "warning", "signature 'f64'"),
        ("TFS403", "file-as-version", "error", "file '3'"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lint"], "PATH is missing"),
        (["lint", ".", "--select", "TFS1O5"], "unknown rule 'TFS1O5'"),
        (["lint", ".", "--image-version", "latest"], "'latest' is not a version of the server"),
        (["lint", ".", "--fail-on", "never"], "Invalid value for '--fail-on'"),
        (["diff", "."], "Missing argument 'NEW'"),
        (["inspect"], "Missing argument 'PATH'"),
    ],
)
def test_usage_errors(zoo, arguments: list[str], message: str) -> None:
    result = cli(*arguments, cwd=zoo)
    assert result.returncode == 2
    assert message in result.stderr


def test_rules_are_printed_as_the_reference() -> None:
    root = Path(__file__).parents[2]
    assert cli("lint", "--rules").stdout == (root / "docs" / "lint.md").read_text()
    rules = json.loads(cli("lint", "--rules", "--json").stdout)["rules"]
    assert rules[0]["id"] == "TFS101"


def test_diff_json_and_quiet(models) -> None:
    old, new = models / "saved_model_half_plus_two_cpu", models / "saved_model_half_plus_three"
    result = cli("diff", old, new, "--json")
    document = json.loads(result.stdout)
    assert result.returncode == 1
    assert document["verdict"] == "breaking"
    assert {c["signature"] for c in document["changes"] if c["message"] == "the signature is gone"} == {
        "classify_x_to_y",
        "regress_x2_to_y3",
        "regress_x_to_y",
        "regress_x_to_y2",
    }
    quiet = cli("diff", old, new, "--quiet")
    assert (quiet.returncode, quiet.stdout) == (1, "")
    assert "breaks clients of" in quiet.stderr
    assert cli("diff", old, old, "--quiet").stderr == ""


def test_names_in_a_model_cannot_command_the_terminal(zoo) -> None:
    path = zoo / "2" / "saved_model.pb"
    path.write_bytes(path.read_bytes().replace(b"uneven", b"une\x1b[H").replace(b"boolin", b"b$(ls)"))
    inspected, linted = cli("inspect", zoo), cli("lint", zoo, "--image-version", "2.21")
    assert "une\\x1b[H" in inspected.stdout
    assert "\x1b" not in inspected.stdout + linted.stdout
    assert json.loads(cli("inspect", zoo, "--json").stdout)["signatures"]["une\x1b[H"]


def test_names_make_no_lines(zoo, tmp_path) -> None:
    path = zoo / "2" / "saved_model.pb"
    path.write_bytes(path.read_bytes().replace(b"uneven", b"u\nfake"))
    for words in (("inspect",), ("lint", "--image-version", "2.21"), ("diff", zoo / "1")):
        told = cli(*words, zoo / "2").stdout
        assert not [line for line in told.splitlines() if line.startswith("fake")], words
    assert "u\\nfake" in cli("inspect", zoo / "2").stdout
    told = cli("inspect", tmp_path / "a\nfake: ok").stderr
    assert "\n  fake: ok" in told
    assert "\nfake: ok" not in told
    (tmp_path / "d.yaml").write_text('name: "a\\nfake: ok"\n"b\\nfake: ok": 1\n')
    told = cli("config", tmp_path / "d.yaml").stderr
    assert told.count("\\nfake: ok") == 2
    assert "\nfake: ok" not in told


def test_odd_model_names_are_quoted_in_requests(zoo) -> None:
    result = cli("inspect", zoo, "--signature", "half16", "--model", "it's; my model")
    assert 'client.predict("it\'s; my model"' in result.stdout
    result = cli("inspect", zoo, "--signature", "two", "--model", "it's; my model")
    assert "curl http://localhost:8501/v1/models/it%27s%3B%20my%20model:predict -d" in result.stdout


def test_diff_with_a_baseline_beside_the_new_version(zoo) -> None:
    expected = cli("diff", zoo / "1", zoo / "2").stdout
    for baseline in ("1", zoo / "1"):
        result = cli("diff", zoo, "--baseline", baseline)
        assert (result.returncode, result.stdout.replace(f"{zoo}/", "")) == (
            cli("diff", zoo / "1", zoo / "2").returncode,
            expected.replace(f"{zoo}/", ""),
        )
    twice = cli("diff", zoo / "1", zoo / "2", "--baseline", "1")
    assert twice.returncode == 2
    assert "--baseline takes the place of OLD" in twice.stderr


def test_the_python_of_a_request_begins_at_the_start_of_its_line(zoo) -> None:
    shown = cli("inspect", zoo, "--signature", "two").stdout
    assert "\nimport numpy as np\nfrom tfs_deploy import Client\n\nwith Client(" in shown
