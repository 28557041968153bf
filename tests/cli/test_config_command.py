# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy config``: what it prints, what it writes, and that a wrong file writes nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.forked_command import run_command
from support.live import free_ports
from tfs_deploy.config.models import parse
from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.deployment.file.editor import SCHEMA_FILE
from tfs_deploy.state.active import read_active, write_active

SIX_MISTAKES = """\
name: shop
server:
  grpc_port: 9000
  rest_port: 9000
  flags: {grpc_max_thread: 4}
models:
  - name: m
    base_path: nowhere
    versions: {specific: [1, 2]}
    labels: {stable: 3}
    traffic: {stable: 90}
    colour: red
"""


def cli(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, cwd=cwd)


@pytest.fixture
def shop(tmp_path, models) -> Path:
    shutil.copytree(models / "zoo", tmp_path / "zoo")
    path = tmp_path / "shop.yaml"
    path.write_text(
        "name: shop\nmodels:\n  - name: zoo\n    base_path: zoo\n    versions: {specific: [1]}\n"
        "    labels: {stable: 1}\nmonitoring: {}\n"
    )
    return path


def test_models_config_goes_to_stdout_alone(shop):
    done = cli("config", "shop.yaml", cwd=shop.parent)
    assert done.returncode == 0, done.stderr
    (config,) = parse(done.stdout).model_config_list.config
    assert config.base_path == str(shop.parent / "zoo")
    assert done.stderr == ""


def test_everything_is_written_into_a_directory(shop):
    done = cli("config", "shop.yaml", "--out", "out/config", cwd=shop.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert sorted(path.name for path in (shop.parent / "out/config").iterdir()) == [
        "models.config",
        "monitoring.config",
    ]
    assert f"--model_config_file={shop.parent}/out/config/models.config" in done.stderr


def test_as_json(shop):
    done = cli("config", "shop.yaml", "--json", cwd=shop.parent)
    document = json.loads(done.stdout)
    assert document["files"].keys() == {"models.config", "monitoring.config"}
    assert "--port=8500" in document["flags"]


def test_a_right_file_is_said_to_be_right(shop):
    done = cli("config", "shop.yaml", "--check", cwd=shop.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "shop.yaml is valid: 1 model\n")


def test_six_mistakes_are_six_lines_and_nothing_is_written(tmp_path):
    (tmp_path / "shop.yaml").write_text(SIX_MISTAKES)
    done = cli("config", "shop.yaml", "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    lines, hint = done.stderr.split("\n\n")
    assert lines.splitlines() == [
        "shop.yaml:4: server.rest_port: gRPC and REST cannot share port 9000",
        "shop.yaml:5: server.flags.grpc_max_thread: unknown flag 'grpc_max_thread', did you mean 'grpc_max_threads'?",
        f"shop.yaml:8: models[0].base_path: base path {tmp_path}/nowhere does not exist",
        "shop.yaml:10: models[0].labels.stable: version 3 is not served, versions.specific lists 1, 2",
        "shop.yaml:11: models[0].traffic: weights must sum to 100, not 90",
        (
            "shop.yaml:12: models[0].colour: unknown key, the keys here are "
            "name, base_path, store, versions, labels, traffic"
        ),
    ]
    assert hint == "hint: correct the file, then check it with: tfs-deploy config shop.yaml --check\n"
    assert [path.name for path in tmp_path.iterdir()] == ["shop.yaml"]


def test_the_problems_as_json(tmp_path):
    (tmp_path / "shop.yaml").write_text(SIX_MISTAKES)
    done = cli("config", "shop.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 2
    problems = json.loads(done.stdout)["error"]["problems"]
    assert [problem["line"] for problem in problems] == [4, 5, 8, 10, 11, 12]
    assert problems[0]["path"] == "server.rest_port"


def test_models_may_be_missing_when_asked(shop):
    shutil.rmtree(shop.parent / "zoo")
    assert cli("config", "shop.yaml", cwd=shop.parent).returncode == 2
    assert cli("config", "shop.yaml", "--no-disk", cwd=shop.parent).returncode == 0


def test_what_a_rollout_left_is_what_the_server_reads(shop):
    deployment = load_deployment(shop)
    write_active(deployment.state_dir, {"zoo": ActiveModel.of(deployment.models[0], (1, 2), {"stable": 2})})
    done = cli("config", "shop.yaml", cwd=shop.parent)
    (config,) = parse(done.stdout).model_config_list.config
    assert dict(config.version_labels) == {"stable": 2}
    assert "as its last rollout left them" in done.stderr
    shop.write_text(shop.read_text().replace("labels: {stable: 1}", "labels: {stable: 1, old: 1}"))
    done = cli("config", "shop.yaml", cwd=shop.parent)
    (config,) = parse(done.stdout).model_config_list.config
    assert dict(config.version_labels) == {"stable": 1, "old": 1}
    assert "was edited in the deployment file after its last rollout" in done.stderr
    assert read_active(deployment.state_dir)  # asking changes nothing


def test_a_directory_that_cannot_be_written_is_an_environment_fault(shop):
    (shop.parent / "out").touch()
    done = cli("config", "shop.yaml", "--out", "out/deeper", cwd=shop.parent)
    assert done.returncode == 3
    assert "cannot write to out/deeper: Not a directory" in done.stderr


def test_out_and_check_exclude_each_other(shop):
    done = cli("config", "shop.yaml", "--out", "x", "--check", cwd=shop.parent)
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


def test_warnings_are_said_and_count_when_asked(shop):
    shop.write_text(shop.read_text().replace("specific: [1]", "specific: [1, 2]"))
    done = cli("config", "shop.yaml", "--check", cwd=shop.parent)
    assert done.returncode == 0
    assert "warning: shop.yaml:5: models[0].versions: requests without a label all go to version 2" in done.stderr
    done = cli("config", "shop.yaml", "--check", "--strict", "--json", cwd=shop.parent)
    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"], len(document["warnings"])) == (1, False, 1)
    assert cli("config", "shop.yaml", "--strict", cwd=shop.parent).returncode == 2


def test_there_and_back_again(shop):
    text = cli("config", "shop.yaml", cwd=shop.parent).stdout
    (shop.parent / "models.config").write_text(text)
    done = cli("config", "import", "models.config", "--name", "again", "--out", "again.yaml", cwd=shop.parent)
    assert done.returncode == 0, done.stderr
    assert "wrote again.yaml" in done.stderr
    assert cli("config", "again.yaml", cwd=shop.parent).stdout == text
    done = cli("config", "import", "models.config", "--out", "again.yaml", cwd=shop.parent)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: again.yaml exists")
    assert "name: imported" in cli("config", "import", "models.config", cwd=shop.parent).stdout
    line = [sys.executable, "-m", "tfs_deploy", "config", "import", "-", "--base-path-map", f"{shop.parent}=/srv"]
    piped = subprocess.run(line, input="\ufeff" + text, capture_output=True, encoding="utf-8", timeout=100, check=True)
    assert "base_path: /srv/" in piped.stdout


def test_what_cannot_be_imported_is_listed_by_line(tmp_path):
    (tmp_path / "m.config").write_text('model_config_list {\n  config { name: "m" base_path: "m" }\n}\n')
    done = cli("config", "import", "m.config", cwd=tmp_path)
    assert done.returncode == 2
    assert [line.split(" ")[0] for line in done.stderr.split("\n\n")[0].splitlines()] == ["m.config:2:"] * 2
    done = cli("config", "import", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: nowhere cannot be read: No such file or directory",
    )


def test_a_plan_for_what_does_not_run_yet(shop):
    grpc, rest = free_ports(2)
    shop.write_text(f"{shop.read_text()}server: {{grpc_port: {grpc}, rest_port: {rest}}}\n")
    done = cli("plan", "shop.yaml", cwd=shop.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:7] == [
        "start a server",
        "  zoo: specific 1",
        "",
        "in this order:",
        f"  1. start a server on gRPC port {grpc} and REST port {rest}",
        "  2. load zoo version 1",
        "  3. wait until every version is available",
    ]
    assert "server: a process of this machine (target: embedded)" in done.stdout.splitlines()
    assert cli("plan", "shop.yaml", "--detailed-exitcode", "-q", cwd=shop.parent).returncode == 1
    assert not (shop.parent / ".tfs-deploy").exists()


def test_render_needs_an_image(shop):
    done = cli("render", "compose", "shop.yaml", cwd=shop.parent)
    assert done.returncode == 2
    assert "does not say which image the server is in" in done.stderr
    text = shop.read_text() + "server: {target: docker, docker: {image: 'tensorflow/serving:2.21.0'}}\n"
    shop.write_text(text)
    assert "prometheus" in cli("render", "compose", "shop.yaml", cwd=shop.parent).stdout
    done = cli("render", "dockerfile", "shop.yaml", "--out", "build", cwd=shop.parent)
    assert done.returncode == 0, done.stderr
    assert (shop.parent / "build/models/zoo/1/saved_model.pb").is_file()


def test_tls_is_imported_with_its_key_and_certificates(tmp_path):
    (tmp_path / "models.config").write_text(
        'model_config_list { config { name: "m" base_path: "/srv/m" model_platform: "tensorflow" } }'
    )
    (tmp_path / "ssl.config").write_text(
        'server_key: "KEY\\n" server_cert: "CERT\\n" custom_ca: "CA\\n" client_verify: true'
    )
    words = ("config", "import", "models.config", "--ssl", "ssl.config")
    without = cli(*words, cwd=tmp_path)
    assert (without.returncode, "--ssl needs --out" in without.stderr) == (2, True)

    done = cli(*words, "--out", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    section = load_deployment(tmp_path / "shop.yaml", check_disk=False).ssl
    assert [path.read_text() for path in (section.key, section.cert, section.ca)] == ["KEY\n", "CERT\n", "CA\n"]
    assert section.client_verify
    assert [path.stat().st_mode & 0o777 for path in (section.key, section.cert)] == [0o600, 0o644]
    (tmp_path / "shop.yaml").unlink()
    assert "shop.key.pem exists" in cli(*words, "--out", "shop.yaml", cwd=tmp_path).stderr


@pytest.mark.parametrize("text", ['server_cert: "C"', 'server_key: "K"', "nonsense: 1"])
def test_what_is_no_ssl_config_is_refused(tmp_path, text):
    (tmp_path / "models.config").write_text(
        'model_config_list { config { name: "m" base_path: "/srv/m" model_platform: "tensorflow" } }'
    )
    (tmp_path / "ssl.config").write_text(text)
    done = cli("config", "import", "models.config", "--ssl", "ssl.config", "--out", "shop.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "ssl.config" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models.config", "ssl.config"]


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_the_schema_needs_no_file(tmp_path, more):
    done = cli("config", "--schema", *more, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads(SCHEMA_FILE.read_text())
    assert cli("config", cwd=tmp_path).returncode == 2
