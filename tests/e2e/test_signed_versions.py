# SPDX-License-Identifier: Apache-2.0
"""A deployment with ``trust``: what is not signed reaches no server, by ``up``, ``restart`` or a rollout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import signing
from support.live import free_ports
from tfs_deploy.cli.main import run

PAGE = (Path(__file__).parents[2] / "docs/signing.md").read_text()
BLOCKS = re.findall(r"^```(sh|yaml)[^\n]*\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_only_signed_versions_are_served(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    old, old_public = signing.write_key(tmp_path, "old")
    new, new_public = signing.write_key(tmp_path, "new")
    grpc, rest = free_ports(2)
    version = signing.write_version(tmp_path)

    def write(*trust: Path, serve: int = 1, revoked: str = "") -> None:
        document = {
            "name": "shop",
            "server": {"grpc_port": grpc, "rest_port": rest},
            "models": [
                {
                    "name": "plain",
                    "base_path": "plain",
                    "versions": {"specific": [serve]},
                    "labels": {"stable": serve},
                }
            ],
            "trust": [path.name for path in trust],
            "revoked": [revoked] if revoked else [],
        }
        Path("shop.yaml").write_text(json.dumps(document))

    def said(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run([*words, "shop.yaml"])
        found = capsys.readouterr()
        return code, found.out + found.err

    write(old_public)
    code, text = said("up")
    assert (code, "plain/1 is not trusted: assets.extra/signature.json is missing" in text) == (1, True), text
    assert not Path(".tfs-deploy/shop/config").exists(), "nothing was written for a server"
    shutil.copytree(version, "plain/2")
    signing.sign_all(version, old)
    try:
        assert said("up")[0] == 0
        code, text = said("rollout", "start", "--to", "2")
        assert (code, "plain/2 is not trusted" in text) == (1, True), text
        signing.sign_all(Path("plain/2"), new)
        code, text = said("rollout", "start", "--to", "2")
        assert (code, "but only key" in text) == (1, True), text
        assert not list(Path(".tfs-deploy/shop/rollouts").rglob("*.jsonl"))
        write(old_public, new_public)
        code, text = said("rollout", "plan", "--to", "2")
        assert code == 0, text
        write(new_public)
        code, text = said("restart")
        assert (code, "plain/1 is not trusted" in text) == (1, True), text
        assert said("status")[0] == 0, "the server that runs goes on"
    finally:
        said("down")


def test_the_guide_works_as_printed(tmp_path: Path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    shutil.copytree(signing.write_version(tmp_path), tmp_path / "new/digits/1")
    grpc, rest = free_ports(2)  # the ports of the guide may be in use here
    server = f"server: {{grpc_port: {grpc}, rest_port: {rest}}}\n"
    text = "\n".join(
        f"cat > digits.yaml <<'END'\n{block}{server}END" if kind == "yaml" else block for kind, block in BLOCKS
    )
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-ec", text], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files: signed by key" in done.stdout
    assert (tmp_path / "models/digits/1/assets.extra/verdict.sig.json").is_file()
