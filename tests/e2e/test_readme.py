# SPDX-License-Identifier: Apache-2.0
"""Every recipe of the README runs as printed: the Python blocks and the shell lines, in their order."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.live import free_ports

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL = [
    line.partition("  #")[0].strip()
    for language, text in BLOCKS
    if language == "sh"
    for line in text.splitlines()
    if line and not line.startswith("#")
]
(FIRST_SCREEN,) = [text for language, text in BLOCKS if language == "bash"]
EXPORT, CALL = [text for language, text in BLOCKS if language == "python"]

MODEL = """
import keras, numpy as np
keras.utils.set_random_seed({seed})
layers = [keras.Input((8, 8), name="image"), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
model = keras.Sequential(layers)
rows = np.ones((4, 8, 8), np.float32)
"""
DEPLOYMENT = """
name: digits
server: {{grpc_port: {grpc}, rest_port: {rest}}}
models:
  - name: digits
    base_path: models/digits
    versions: {{specific: [1]}}
    labels: {{stable: 1}}
    traffic: {{stable: 100}}
"""


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder, env=environment)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Two versions exported by the recipe, a deployment file on free ports."""
    folder = tmp_path_factory.mktemp("readme")
    code = MODEL.format(seed=1) + EXPORT + MODEL.format(seed=2) + EXPORT
    result = run([sys.executable, "-c", code], folder)
    assert result.returncode == 0, result.stderr
    ports = dict(zip(("8500", "8501"), map(str, free_ports(2)), strict=True))
    (folder / "digits.yaml").write_text(DEPLOYMENT.format(grpc=ports["8500"], rest=ports["8501"]))
    result = run(["tfs-deploy", "config", "digits.yaml", "--out", "."], folder)
    assert result.returncode == 0, result.stderr
    return folder, ports


def words(line: str, folder: Path, ports: dict[str, str]) -> list[str]:
    """Split a line as a shell would."""
    return shlex.split(here(line, ports).replace("$PWD", str(folder)))


def here(text: str, ports: dict[str, str]) -> str:
    for standard, free in ports.items():
        text = text.replace(standard, free)
    return text


def test_the_readme_has_its_recipes():
    assert len(SHELL) >= 12
    assert sum(line.startswith("tfs-deploy serve") for line in SHELL) == 1


def test_the_first_screen_ends_with_an_answer(tmp_path):
    """As printed, but for the installation and the ports; scripts/try_readme types all of it into an empty Debian."""
    install, _, rest = FIRST_SCREEN.partition("\n\n")
    assert install.splitlines()[1:] == ["pip install 'tf-serving-deploy[cli,export,server]'"]
    grpc, http = free_ports(2)
    rest = rest.replace("8500", str(grpc)).replace(
        "models:\n", f"server: {{grpc_port: {grpc}, rest_port: {http}}}\nmodels:\n"
    )
    try:
        result = run(["bash", "-e", "-c", rest], tmp_path)
        assert result.returncode == 0, result.stderr
        assert "[[6.]]" in result.stdout
    finally:
        run(["tfs-deploy", "down", "sum.yaml"], tmp_path)


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("debootstrap"), reason="needs root and debootstrap")
def test_a_stranger_types_the_first_screen_into_an_empty_debian(tmp_path):
    result = subprocess.run([ROOT / "scripts/try_readme", tmp_path / "debian"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]


def test_export_recipe_made_two_versions(place):
    folder, _ = place
    assert sorted(path.name for path in (folder / "models/digits").iterdir() if path.name.isdigit()) == ["1", "2"]


def test_foreground_recipe(place):
    folder, ports = place
    line = next(line for line in SHELL if line.startswith("tfs-deploy serve"))
    command = [str(BIN / "tfs-deploy"), *words(line, folder, ports)[1:]]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end and server.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", int(ports["8501"]))) == 0:
                        break
                time.sleep(0.05)
            server.send_signal(signal.SIGINT)
            _, log = server.communicate(timeout=300)
        finally:
            server.kill()
    assert server.returncode in (0, 130), log
    assert "loading digits version 2" in log


def test_shell_recipes_in_their_order(place):
    folder, ports = place
    called = False
    try:
        for line in SHELL:
            if line.startswith("tfs-deploy serve"):
                continue
            if line.startswith("tfs-deploy rollout start"):
                call_recipe(folder, ports)
                called = True
            command = words(line.replace("--bake 10s", "--bake 1s"), folder, ports)
            result = run(command, folder)
            assert result.returncode == 0, f"{line}\n{result.stderr}"
            assert "Traceback" not in result.stderr
    finally:
        run(["tfs-deploy", "down", "digits.yaml"], folder)
    assert called


def call_recipe(folder: Path, ports: dict[str, str]) -> None:
    code = "import numpy as np\nbatch = np.ones((2, 8, 8), np.float32)\n" + here(CALL, ports)
    result = run([sys.executable, "-c", code], folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "(2, 10) 1\n"
