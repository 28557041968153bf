# SPDX-License-Identifier: Apache-2.0
"""The set-up scripts: quick when there is nothing to do, clear when something is missing."""

from __future__ import annotations

import importlib.machinery
import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from support import browser, no_skips
from support.pins import pins

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("scripts/constraints-demo.txt", "scripts/constraints.txt")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the scripts need of a clone, without an environment."""
    target = tmp_path / "clone"
    target.mkdir()
    for name in ("scripts", "tfs_deploy"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, target / name)
    return target


def run(script: Path, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, env={**clean, **environment})


def test_no_python_that_is_new_enough(clone, tmp_path):
    result = run(clone / "scripts/quickstart", cwd=tmp_path, PYTHON="/no/such/python")
    assert result.returncode == 3
    assert result.stderr.startswith("error: no Python 3.10 to 3.13 found at /no/such/python\n\nhint: install one")
    assert not (clone / ".venv").exists()


def test_python_without_the_venv_module(clone, tmp_path):
    stub = tmp_path / "python3"
    stub.write_text(f'#!/bin/sh\ncase "$*" in *venv*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
    stub.chmod(0o755)
    result = run(clone / "scripts/test", cwd=tmp_path, PYTHON=str(stub))
    assert result.returncode == 3
    assert "has no venv module\n\nhint: install it (Debian and Ubuntu: apt install python3-venv)" in result.stderr
    assert not (clone / ".venv").exists()


def test_no_package_index(clone, tmp_path):
    result = run(clone / "scripts/quickstart", cwd=tmp_path, PYTHON=sys.executable, PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert result.returncode == 3
    assert "error: pip could not get the packages from a package index\n\nhint: connect to the network" in result.stderr


def test_uv_looks_where_pip_would():
    uv = types.ModuleType("uv")
    importlib.machinery.SourceFileLoader("uv", str(ROOT / "scripts/uv")).exec_module(uv)
    listed = [
        ":env:.disable-pip-version-check='1'",
        ":env:.find-links='/wheels /more'",
        "global.cert='/ca.pem'",
        "global.extra-index-url='\\nhttps://a.example/simple\\nhttps://b.example/simple'",
        "global.index-url='https://everyone.example/simple'",
        "install.index-url='https://here.example/simple'",
        "list.format='columns'",
    ]
    assert uv.uv_settings(uv.pip_settings(listed)) == {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://here.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_FIND_LINKS": "/wheels,/more",
        "SSL_CERT_FILE": "/ca.pem",
    }


def test_nothing_to_do_is_said_by_silence(clone, tmp_path):
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/bin/python").symlink_to(sys.executable)
    files = [(clone / name).read_bytes() for name in ("pyproject.toml", *LOCKS)]
    checksum = subprocess.run(["cksum"], input=b"".join(files), capture_output=True).stdout.decode().strip()
    (clone / ".venv/.tfs-deploy-dev").write_text(f"{checksum} {clone}")
    for extra in ("dev", "demo"):
        result = run(clone / "scripts/ensure_venv", extra, cwd=tmp_path)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_and_every_file_has_a_hash(lock):
    text = (ROOT / lock).read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text.partition("\n")[2])
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+( ; [^\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", entry), entry[:200]
    assert {pin.partition(" ")[0] for pin in pins(ROOT / LOCKS[0])} <= {pin.partition(" ")[0] for pin in pins()}
    assert {"uv", "hatchling"} <= {entry.partition("==")[0] for entry in entries}


def test_the_bill_of_materials_is_valid_and_of_these_versions():
    document = json.loads((ROOT / "sbom.cdx.json").read_text())
    assert (document["bomFormat"], document["metadata"]["component"]["name"]) == ("CycloneDX", "tf-serving-deploy")
    versions = {(part["name"].lower(), part["version"]) for part in document["components"]}
    pinned = {tuple(pin.partition(" ")[0].split("==")) for pin in pins()}
    assert {("tensorflow", dict(pinned)["tensorflow"]), ("grpcio", dict(pinned)["grpcio"])} <= versions <= pinned
    for part in document["components"]:
        assert part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}"
        assert all(re.fullmatch("[0-9a-f]{64}", each["content"]) for each in part["externalReferences"][0]["hashes"])
    schema = SchemaVersion.from_version(document["specVersion"])
    assert JsonStrictValidator(schema).validate_str(json.dumps(document)) is None
    document["components"][0]["type"] = "nothing"
    assert JsonStrictValidator(schema).validate_str(json.dumps(document)) is not None


def test_ci_runs_exactly_the_test_script():
    assert 'scripts/test" "$@" </dev/null' in (ROOT / ".ci/run").read_text()
    assert os.access(ROOT / ".ci/run", os.X_OK)


def programs(folder: Path, **texts: str) -> str:
    """Write shell programs and return a PATH that has them first."""
    folder.mkdir()
    for name, text in texts.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def ci(tmp_path: Path) -> Path:
    """A clone with .ci/run and a test script that tells what it was given."""
    target = tmp_path / "ci-clone"
    (target / "scripts").mkdir(parents=True)
    shutil.copytree(ROOT / ".ci", target / ".ci")
    script = target / "scripts/test"
    required = "required=$TFS_DEPLOY_REQUIRE_DOCKER,$TFS_DEPLOY_REQUIRE_BROWSER,$TFS_DEPLOY_REQUIRE_ALL"
    script.write_text(f'#!/bin/sh\necho "tests: $* {required}"\nexit ${{CODE:-0}}\n')
    environment = target / "scripts/ensure_venv"
    environment.write_text("#!/bin/sh\n")
    for each in (script, environment):
        each.chmod(0o755)
    return target / ".ci/run"


def test_ci_uses_the_engine_that_is_there(ci, tmp_path):
    path = programs(tmp_path / "bin", chromium="", npm="", docker="exit 0", dockerd=f"touch {tmp_path}/started")
    result = run(ci, "-k", "x", cwd=tmp_path, PATH=path, CODE="7")
    assert (result.returncode, result.stdout) == (7, "tests: -k x required=1,1,1\n")
    assert not (tmp_path / "started").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine")
def test_ci_stops_the_engine_that_it_started(ci, tmp_path):
    path = programs(
        tmp_path / "bin",
        chromium="",
        npm="",
        docker=f"test -e {tmp_path}/started",
        dockerd=f"trap 'rm {tmp_path}/started; exit 0' TERM\ntouch {tmp_path}/started\nwhile :; do sleep 0.1; done",
    )
    result = run(ci, cwd=tmp_path, PATH=path, TFS_DEPLOY_REQUIRE_DOCKER="")
    assert (result.returncode, result.stdout) == (0, "tests:  required=,1,1\n")
    assert "starting dockerd" in result.stderr
    assert not (tmp_path / "started").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine")
def test_ci_goes_on_with_the_log_of_an_engine_that_does_not_start(ci, tmp_path):
    path = programs(tmp_path / "bin", chromium="", npm="", docker="exit 1", dockerd="echo no cgroups here >&2; exit 1")
    result = run(ci, cwd=tmp_path, PATH=path)
    assert (result.returncode, result.stdout) == (0, "tests:  required=1,1,1\n")
    assert "no cgroups here" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_ci_installs_a_browser_while_the_environment_is_made(ci, tmp_path):
    there = programs(
        tmp_path / "bin",
        **dict.fromkeys(("npm", "ip", "openssl", "curl", "gcc", "groff", "zsh", "fish", "docker_registry"), ""),
        docker="exit 0",
        apt_get=f'echo "$*" >> {tmp_path}/asked',
    )
    for name in ("bash", "dirname", "id", "mktemp", "rm", "tail"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    result = run(ci, cwd=tmp_path, PATH=there.partition(":")[0], TFS_DEPLOY_REQUIRE_BROWSER="")
    assert (result.returncode, result.stdout) == (0, "tests:  required=1,,1\n")
    assert result.stderr == "installing chromium\n"
    update, install = (tmp_path / "asked").read_text().splitlines()
    assert (update.split()[0], install.split()[-1]) == ("update", "chromium")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_ci_installs_what_tests_would_be_skipped_without(ci, tmp_path):
    there = programs(tmp_path / "bin", docker="exit 0", chromium="", npm="", apt_get=f'echo "$*" >> {tmp_path}/asked')
    for name in ("bash", "dirname", "id", "mktemp", "rm", "tail"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    result = run(ci, cwd=tmp_path, PATH=there.partition(":")[0])
    assert (result.returncode, result.stdout) == (0, "tests:  required=1,1,1\n")
    assert result.stderr == "installing iproute2 docker-registry openssl curl gcc groff zsh fish\n"


SKIPPING = """
import pytest

def test_a_program():
    pytest.skip("ip is not installed")

@pytest.mark.skipif(True, reason="only root may")
def test_a_right():
    pass

@pytest.mark.skip(reason="long form: scripts/test --full")
def test_a_long_form():
    pass

@pytest.mark.xfail(reason="known")
def test_a_known_fault():
    assert False
"""


def test_ci_fails_where_tests_are_skipped(tmp_path):
    shutil.copy(ROOT / "tests/conftest.py", tmp_path)
    shutil.copy(ROOT / "tests/durations.json", tmp_path)
    (tmp_path / "test_here.py").write_text(SKIPPING)
    (tmp_path / "test_there.py").write_text("import pytest\npytest.importorskip('no_such_package')\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(tmp_path),
        "--continue-on-collection-errors",
    ]
    ends = []
    for value in ("", "1"):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), no_skips.REQUIRED: value}
        environment.pop("TFS_DEPLOY_FULL", None)
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
        ends.append((done.returncode, re.sub(" in .*", "", done.stdout.splitlines()[-1])))
    assert ends[0] == (0, "4 skipped, 1 xfailed")
    assert ends[1] == (1, "1 failed, 1 skipped, 1 xfailed, 2 errors")


def test_without_the_browser_that_is_required_its_tests_fail(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(browser.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Chromium is installed"):
        browser.find_browser()
    monkeypatch.setenv(browser.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="TFS_DEPLOY_REQUIRE_BROWSER is set, and no Chromium is installed"):
        browser.find_browser()
