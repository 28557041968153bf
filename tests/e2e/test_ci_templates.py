# SPDX-License-Identifier: Apache-2.0
"""What a team copies into its own pipelines: valid by the published schemas, and every shell step of it runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

import tfs_deploy
from support.pins import write_pins

ROOT = Path(__file__).resolve().parents[2]
CI = ROOT / "configs/ci"
BIN = Path(sys.executable).parent
SCRIPT = ROOT / "scripts/export_and_verify"
PLAIN = ROOT / "tests/data/verify/plain"
REPORTS = ["export.json", "junit.xml", "report.html", "summary.md", "verdict.json"]
ARTEFACTS = sorted([*REPORTS, "publish.json"])

TRAIN = """
import keras

def model():
    image = keras.Input((8, 8), name="image")
    scores = keras.layers.Dense(10, activation="softmax", name="probabilities")(keras.layers.Flatten()(image))
    return keras.Model(image, scores)
"""
DEPLOYMENT = """
name: digits
models:
  - {name: digits, base_path: models/digits, versions: {specific: [1]}, labels: {stable: 1}}
"""


def run(
    command: list[object], folder: Path, *, seconds: float = 100, **environment: str
) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment}
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=seconds, cwd=folder, env=variables)


def document(name: str) -> dict:
    return yaml.safe_load((CI / name).read_text())


def workflow_steps() -> list[dict]:
    return document("github-actions.yml")["jobs"]["verify"]["steps"]


def gitlab_lines() -> list[str]:
    jobs = document("gitlab-ci.yml").values()
    return [line for job in jobs if isinstance(job, dict) for line in job.get("script", [])]


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", [CI / "github-actions.yml", ROOT / "scripts/examples/github-actions.yml"]),
        ("github-workflows", sorted(ROOT.glob(".github/workflows/*.yml"))),
        ("github-actions", [ROOT / "action.yml"]),
        ("gitlab-ci", [CI / "gitlab-ci.yml"]),
    ],
)
def test_they_follow_the_published_schemas(schema, files):
    options = ["--data-transform", "gitlab-ci"] if schema == "gitlab-ci" else []
    result = run([BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *options, *files], ROOT)
    assert result.returncode == 0, result.stdout


def test_they_install_this_version_with_extras_that_there_are():
    extras = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    templates = [*CI.iterdir(), ROOT / "scripts/examples/github-actions.yml", ROOT / "action.yml"]
    for path in templates:
        text = path.read_text()
        installs = re.findall(r"\"tf-serving-deploy\[([\w,]+)\](.*)\"", text)
        assert installs, path
        for named, version in installs:
            assert set(named.split(",")) <= extras, path
            assert version in (f"=={tfs_deploy.__version__}", "==$VERSION"), path
        assert "@v0." not in text, f"{path} names a tag"
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    assert inputs["version"]["default"] == tfs_deploy.__version__


ACTION = yaml.safe_load((ROOT / "action.yml").read_text())


@pytest.mark.parametrize("code", [0, 1])
def test_the_action_passes_its_options_on_and_ends_as_verify_does(code, tmp_path):
    stand_in = tmp_path / "tfs-deploy/bin/tfs-deploy"
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text(
        f"#!/bin/sh\nprintf '%s|' \"$@\" >calls\nmkdir out\necho summary >out/summary.md\nexit {code}\n"
    )
    stand_in.chmod(0o755)
    (step,) = [step for step in ACTION["runs"]["steps"] if step.get("id") == "verify"]
    assert set(step["env"]) == {"MODEL", "OPTIONS", "REPORT"}
    given = {"MODEL": "models/my model", "OPTIONS": "--load=1\n--budget=p99 < 50ms\n", "REPORT": "out"}
    files = {"GITHUB_OUTPUT": str(tmp_path / "outputs"), "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    result = run(["bash", "-eo", "pipefail", "-c", step["run"]], tmp_path, RUNNER_TEMP=str(tmp_path), **given, **files)
    assert result.returncode == code, result.stderr
    assert (tmp_path / "calls").read_text() == "verify|models/my model|--report|out|--load=1|--budget=p99 < 50ms|"
    assert (tmp_path / "outputs").read_text() == "verdict=out/verdict.json\n"
    assert (tmp_path / "summary").read_text() == "summary\n"


def test_gitlab_runs_what_github_runs():
    lines = {line.replace("$CI_COMMIT_SHA", "$GITHUB_SHA") for line in gitlab_lines()}
    steps = {step["run"] for step in workflow_steps() if "run" in step}
    assert len(lines) == 2
    assert lines <= steps
    assert document("gitlab-ci.yml")["variables"] == document("github-actions.yml")["env"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clean clone, with a team's model and deployment file in it."""
    folder = tmp_path / "clone"
    result = run(["git", "clone", "--quiet", "--no-local", "--depth=1", ROOT.as_uri(), folder], tmp_path)
    assert result.returncode == 0, result.stderr
    (folder / "train.py").write_text(TRAIN)
    (folder / "digits.yaml").write_text(DEPLOYMENT)
    return folder


@pytest.mark.tensorflow
def test_the_workflow_in_a_clean_clone_leaves_its_artefacts(clone, tmp_path):
    variables = {**document("github-actions.yml")["env"], "GITHUB_SHA": "abc1234", "PYTHONPATH": str(clone)}
    variables["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary")
    steps = [step["run"] for step in workflow_steps() if "run" in step]
    assert steps[0].startswith("pip install ")
    for step in steps[1:]:
        result = run(["bash", "-e", "-c", step.replace("--load 2", "--load 0.3")], clone, **variables)
        assert result.returncode == 0, result.stderr

    reports = clone / "reports"
    assert sorted(path.name for path in reports.iterdir()) == ARTEFACTS
    verdict = json.loads((reports / "verdict.json").read_text())
    assert verdict["ok"] is True
    cases = ET.parse(reports / "junit.xml").getroot().findall(".//testcase")
    assert len(cases) > 20
    assert (tmp_path / "summary").read_text() == (reports / "summary.md").read_text()
    assert "<svg" in (reports / "report.html").read_text()
    manifest = json.loads((clone / "models/digits/1/assets.extra/tfs_deploy.json").read_text())
    assert manifest["metadata"] == {"commit": "abc1234"}
    # what the templates say they upload is there
    uploads = [step["with"]["path"] for step in workflow_steps() if "upload-artifact" in step.get("uses", "")]
    paths = [path.replace("${{ env.BASE }}", variables["BASE"]) for path in uploads]
    artifacts = document("gitlab-ci.yml")["export-and-verify"]["artifacts"]
    paths += [path.replace("$BASE", variables["BASE"]) for path in artifacts["paths"]]
    assert all((clone / path).exists() for path in [*paths, artifacts["reports"]["junit"]])


def without_tfs_deploy() -> str:
    """Return the PATH of a runner: no directory on it has the command."""
    folders = os.environ["PATH"].split(":")
    return ":".join(folder for folder in folders if not (Path(folder) / "tfs-deploy").exists())


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_the_gitlab_jobs_run_line_by_line_in_an_environment_that_they_install(clone, tmp_path):
    """As a runner does: before_script and script of each job, in order, with the variables of the file."""
    wheel = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path / "dist",
        ROOT,
    ]
    assert run(wheel, tmp_path).returncode == 0
    assert run([sys.executable, "-m", "venv", tmp_path / "venv"], tmp_path).returncode == 0
    gitlab = document("gitlab-ci.yml")
    variables = {**gitlab["variables"], "CI_COMMIT_SHA": "abc1234", "PYTHONPATH": str(clone)}
    (built,) = (tmp_path / "dist").iterdir()
    links = f"{built.parent} {os.environ.get('PIP_FIND_LINKS', '')}"
    variables |= {"PIP_FIND_LINKS": links, "PIP_CONSTRAINT": str(write_pins(tmp_path / "pins.txt"))}
    variables["PATH"] = f"{tmp_path / 'venv/bin'}:{without_tfs_deploy()}"
    jobs = [job for job in gitlab.values() if isinstance(job, dict) and "script" in job]
    assert [job["stage"] for job in jobs] == gitlab["stages"]
    for job in jobs:
        for line in [*job["before_script"], *job["script"]]:
            result = run(["bash", "-e", "-o", "pipefail", "-c", line], clone, seconds=900, **variables)
            assert result.returncode == 0, f"{line}\n{result.stderr}"
    artifacts = jobs[-1]["artifacts"]
    for path in [*artifacts["paths"], artifacts["reports"]["junit"]]:
        assert (clone / path.replace("$BASE", variables["BASE"])).exists(), path
    assert json.loads((clone / "reports/verdict.json").read_text())["ok"] is True
    assert names(clone / "models/digits") == ["1"]


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_in_a_clone_without_the_command_the_script_makes_its_own_environment(clone, tmp_path):
    words = [clone / "scripts/export_and_verify", "train:model", "models/digits", "--", "--load", "0.3"]
    for _ in range(2):  # the second run finds the environment
        result = run(words, clone, seconds=900, PATH=without_tfs_deploy())
        assert result.returncode == 0, result.stderr
    assert result.stdout == f"{clone / 'models/digits/2'}\n"
    assert (clone / ".venv/bin/tfs-deploy").exists()
    assert "installing" not in result.stderr
    assert names(clone / "reports") == ARTEFACTS


def test_a_version_that_is_refused_is_not_published_and_has_its_artefacts(tmp_path):
    publish_plain(tmp_path / "models/plain")
    options = ["--skip", "parity", "--load", "0.2", "--budget", "p50 < 0.0001ms", "--baseline", "1"]
    result = run([SCRIPT, PLAIN, "models/plain", "out", "--keep", "1", "--", *options], tmp_path)
    assert (result.returncode, result.stdout) == (1, ""), result.stderr
    assert "load-test.budget" in result.stderr.splitlines()[-1]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*REPORTS, "staged"])
    verdict = json.loads((tmp_path / "out/verdict.json").read_text())
    assert verdict["ok"] is False
    (model,) = verdict["models"]
    assert (model["name"], model["version"], model["baseline"]) == ("plain", 2, "models/plain/1")
    assert names(tmp_path / "models/plain") == ["1"]
    assert names(tmp_path / "out/staged/plain") == ["2"]


@pytest.mark.full
def test_a_version_that_is_verified_is_published_under_the_number_that_was_asked_for(tmp_path):
    base = tmp_path / "models/plain"
    publish_plain(base)
    publish_plain(base)
    options = ["--version=7", "--keep", "2", "--", "--skip", "parity", "--skip", "refusals", "--load", "0"]
    result = run([SCRIPT, PLAIN, "models/plain", "out", "--metadata", "commit=abc", *options], tmp_path)
    assert (result.returncode, result.stdout) == (0, f"{base / '7'}\n"), result.stderr
    assert names(tmp_path / "out") == ARTEFACTS
    assert names(base) == ["2", "7"]
    assert json.loads((base / "7/assets.extra/tfs_deploy.json").read_text())["metadata"] == {"commit": "abc"}
    assert json.loads((tmp_path / "out/publish.json").read_text())["pruned"] == [1]


STAND_IN = """#!/usr/bin/env bash
printf '%s\\n' "$*" >>calls
case $1 in export) mkdir -p reports/staged/m/4 ;; publish) echo '{"path": "models/m/4"}' ;; esac
"""
PUBLISH = "publish reports/staged/m --to models/m --require-verdict reports/verdict.json --json"


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        (
            ["reports", "--keep=3", "--tags", "a b", "--deployment", "d.yaml", "--version", "9", "--", "--load", "1"],
            [
                "export x --to reports/staged/m --version 9 --json --tags a b",
                "verify reports/staged/m --report reports --load 1",
                f"{PUBLISH} --keep=3 --deployment d.yaml --version 4",
            ],
        ),
        (
            ["--", "--baseline=3", "--skip", "parity"],
            [
                "export x --to reports/staged/m --version 4 --json",
                "verify reports/staged/m --report reports --baseline models/m/3 --skip parity",
                PUBLISH,
            ],
        ),
        (
            ["--", "--baseline", "../old/1"],
            [
                "export x --to reports/staged/m --version 4 --json",
                "verify reports/staged/m --report reports --baseline ../old/1",
                PUBLISH,
            ],
        ),
    ],
)
def test_each_option_goes_to_the_step_that_it_is_about(options, calls, tmp_path):
    stand_in = tmp_path / "bin/tfs-deploy"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    for name in ("1", "003", "notes"):
        (tmp_path / "models/m" / name).mkdir(parents=True)
    result = run([SCRIPT, "x", "models/m", *options], tmp_path, PATH=f"{stand_in.parent}:{os.environ['PATH']}")
    assert (result.returncode, result.stdout) == (0, "models/m/4\n"), result.stderr
    assert (tmp_path / "calls").read_text().splitlines() == calls
    assert names(tmp_path / "reports") == ["export.json", "publish.json"]


def publish_plain(base: Path) -> None:
    assert run(["tfs-deploy", "publish", PLAIN, "--to", base], base.parents[1]).returncode == 0


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_model_that_cannot_be_exported_leaves_no_old_verdict(tmp_path):
    (tmp_path / "reports").mkdir()
    for name in (*ARTEFACTS, "notes.txt"):
        (tmp_path / "reports" / name).write_text("of an earlier run")
    shutil.copytree(PLAIN, tmp_path / "reports/staged/digits")
    result = run([SCRIPT, "missing.keras", "models/digits"], tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: missing.keras does not exist")
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("arguments", [[], ["train:model"], ["--help", "x"], ["a", "b", "c", "--keep"]])
def test_a_call_that_is_wrong_is_told_how_it_goes(arguments, tmp_path):
    result = run([SCRIPT, *arguments], tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("usage: export_and_verify SOURCE BASE")


def test_without_the_toolkit_it_names_the_package(tmp_path):
    copy = tmp_path / "bin/export_and_verify"
    copy.parent.mkdir()
    shutil.copy(SCRIPT, copy)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "env", "dirname", "basename", "mkdir", "rm"):
        (tools / name).symlink_to(str(shutil.which(name)))
    result = subprocess.run([copy, "a", "b"], capture_output=True, text=True, cwd=tmp_path, env={"PATH": str(tools)})
    assert result.returncode == 3
    assert "hint: pip install 'tf-serving-deploy[cli,export,server]'" in result.stderr


GOOD = "name: shop\nmodels:\n  - {name: ranking, base_path: ../models/ranking}\n"
MISTAKES = "name: shop\nmodels:\n  - {name: ranking, base_pth: ../models/ranking}\n"


def hook() -> dict:
    (entry,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    return entry


def test_the_hook_and_its_example_are_valid():
    assert run([BIN / "pre-commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml"], ROOT).returncode == 0
    assert run([BIN / "pre-commit", "validate-config", CI / "pre-commit-config.yaml"], ROOT).returncode == 0
    (repository,) = document("pre-commit-config.yaml")["repos"]
    (example,) = repository["hooks"]
    same = ("id", "name", "language", "entry", "types", "require_serial")
    assert {key: example[key] for key in same} == {key: hook()[key] for key in same}


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("tfs-deploy.yaml", True),
        ("a/digits.tfs-deploy.yml", True),
        ("deployments/shop-tfs-deploy.yaml", True),
        ("deployment.yaml", False),  # Kubernetes has those
        ("tfs-deploy.yaml.txt", False),
        (".github/workflows/my-tfs-deployment.yaml", False),
    ],
)
def test_the_hook_looks_at_deployment_files_only(name, matches):
    assert bool(re.search(hook()["files"], name)) is matches


def test_the_hook_stops_a_commit_with_mistakes(tmp_path):
    """Run by pre-commit itself; only the environment is this one, since making one needs a package index."""
    (example,) = document("pre-commit-config.yaml")["repos"][0]["hooks"]
    entry = {**hook(), **example, "language": "system"}
    del entry["additional_dependencies"]
    config = {"repos": [{"repo": "local", "hooks": [entry]}]}
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "deployments").mkdir()
    (tmp_path / "deployments/good.yaml").write_text(GOOD)
    (tmp_path / "other.yaml").write_text("no: deployment\n")
    checked = [BIN / "pre-commit", "run", "--all-files"]
    home = {"PRE_COMMIT_HOME": str(tmp_path / "home"), "GIT_CONFIG_GLOBAL": "/dev/null"}
    run(["git", "init", "--quiet"], tmp_path)
    run(["git", "add", "deployments", "other.yaml", ".pre-commit-config.yaml"], tmp_path)
    good = run(checked, tmp_path, **home)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "Passed" in good.stdout

    for name in ("a", "z"):
        (tmp_path / f"deployments/{name}.yaml").write_text(MISTAKES)
    run(["git", "add", "deployments"], tmp_path)
    bad = run(checked, tmp_path, **home)
    assert bad.returncode == 1
    assert "deployments/a.yaml:3" in bad.stdout
    assert "deployments/z.yaml:3" in bad.stdout


def test_the_hook_is_installed_from_an_extra_that_there_is():
    assert hook()["additional_dependencies"] == [".[cli]"]
    assert shlex.split(hook()["entry"])[:2] == ["sh", "-c"]
