# SPDX-License-Identifier: Apache-2.0
"""Pages that a reader follows from top to bottom: every command does what the page says, in its order.

tutorial.md and keras-in-docker.md train and export with TensorFlow and roll out under load: in the long form only. In
the short one their commands are read (tests/unit/test_docs_pages.py), and models-config.md runs as it stands.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.code_blocks import ROOT, Block, blocks_of
from support.live import free_ports, until
from tfs_deploy.client import Client

PLAIN = ROOT / "tests/data/verify/plain/1"
TUTORIAL = ROOT / "docs/tutorial.md"
IN_DOCKER = ROOT / "docs/how-to/keras-in-docker.md"
BY_HAND = ROOT / "docs/coming-from/models-config.md"


class Reader:
    """Does what a page says in a folder of its own, with other ports than the page's."""

    def __init__(self, page: Path, folder: Path, ports: dict[str, int]) -> None:
        self.folder = folder
        self.blocks = list(blocks_of(page))
        self._ports = ports
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        packages = os.pathsep.join(filter(None, [str(ROOT), *sys.path]))
        self.environment = {**os.environ, "PATH": path, "PYTHONPATH": packages}

    def with_ports(self, text: str) -> str:
        for port, other in self._ports.items():
            text = text.replace(port, str(other))
        return text

    def save(self, block: Block) -> None:
        (self.folder / block.title).write_text(self.with_ports(block.text))

    def run(self, line: str) -> str:
        """Run a line and return what it prints; it has to end with 0."""
        done = subprocess.run(
            ["sh", "-c", self.with_ports(line)],
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=300,
            env=self.environment,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def in_background(self, line: str, log: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a line, and what it starts, until the block ends."""
        with (self.folder / log).open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-c", self.with_ports(line)],
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env=self.environment,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(timeout=60)


def line_of(blocks: list[Block], text: str) -> str:
    """Return the command line of a page that contains a text."""
    return next(line for block in blocks for line in block.commands if text in line)


def test_a_models_config_by_hand(tmp_path):
    grpc, rest, old, old_rest = free_ports(4)
    reader = Reader(BY_HAND, tmp_path, {"8510": grpc, "8511": rest, "localhost:8500": f"localhost:{old}"})
    for number in (1, 2):
        shutil.copytree(PLAIN, tmp_path / "models/digits" / str(number))
    config = next(block for block in reader.blocks if block.title == "models.config")
    reader.save(config)

    reader.run(line_of(reader.blocks, "config import"))

    section = next(block.text for block in reader.blocks if block.kind == "yaml" and "target: docker" in block.text)
    printed = next(block.text for block in reader.blocks if block.title == "digits.yaml")
    file = tmp_path / "digits.yaml"
    for_editors, _, written = file.read_text().partition("\n")
    assert for_editors.startswith("# yaml-language-server: ")
    assert written == printed
    # the models here may be newer than the page's image
    newer = section.replace("  docker:\n", "  docker:\n    allow_newer_tensorflow: true\n")
    file.write_text(file.read_text() + reader.with_ports(newer))
    reader.run(line_of(reader.blocks, "config digits.yaml --check"))
    # the rest on the embedded server, as the page says for a try
    lines = [line for line in reader.with_ports(section).splitlines(keepends=True) if "docker" not in line]
    file.write_text(printed + "".join(without_container(lines)))
    by_hand = tmp_path / "by-hand.config"
    by_hand.write_text(config.text.replace("/models/", f"{tmp_path}/models/"))
    flags = [f"--port={old}", f"--rest_api_port={old_rest}", f"--model_config_file={by_hand}"]
    server = " ".join(["exec tfs-deploy serve --allow_version_labels_for_unavailable_models=true", *flags])
    with reader.in_background(server, "by-hand.log") as process, Client(f"localhost:{old}") as client:
        client.wait_ready("digits", timeout=60)
        assert reader.run(line_of(reader.blocks, "--against")).strip() == "nothing to do"
        assert process.poll() is None
    try:
        for text in ("up digits.yaml", "smoke digits.yaml", "status digits.yaml"):
            reader.run(line_of(reader.blocks, text))
    finally:
        reader.run("tfs-deploy down digits.yaml")


def without_container(lines: list[str]) -> list[str]:
    """Return the section of a server without what is about its container."""
    return [line for line in lines if not line.strip().startswith(("image:", "address:"))]


@pytest.mark.full
@pytest.mark.tensorflow
def test_the_tutorial_and_the_loop_of_the_docker_guide(tmp_path):
    grpc, rest = free_ports(2)
    reader = Reader(TUTORIAL, tmp_path, {"8500": grpc, "8501": rest})
    answers = {}
    try:
        for block in reader.blocks:
            if block.title:
                reader.save(block)
            if block.kind != "sh" or block.reason is not None:
                continue
            for line in block.commands:
                if "rollout start" in line:
                    answers[line] = under_load(reader, line)
                elif not line.startswith("tfs-deploy doctor"):  # ports of this machine are not its business
                    answers[line] = reader.run(line)
                if "caller.py" in line:
                    loop = next(block.text for block in blocks_of(IN_DOCKER) if block.kind == "python")
                    (tmp_path / "loop.py").write_text(reader.with_ports(loop))
                    assert "by version 1" in reader.run("python loop.py")
    finally:
        reader.run("tfs-deploy down digits.yaml")
    assert "{1: 3000}" in answers["python caller.py"]
    assert (tmp_path / "verified/report.html").exists()
    assert (tmp_path / "report.html").exists()


def under_load(reader: Reader, line: str) -> str:
    """Run a rollout while the callers of the page's second terminal are at work."""
    loop = next(block.text for block in reader.blocks if block.text.startswith("while "))
    log = reader.folder / "calls.log"
    with reader.in_background(loop, log.name):
        until(lambda: "{1: 3000}" in log.read_text())
        return reader.run(line)


@pytest.mark.parametrize("page", [TUTORIAL, IN_DOCKER], ids=lambda page: page.stem)
def test_what_a_page_saves_is_what_its_commands_name(page):
    blocks = list(blocks_of(page))
    saved = {block.title for block in blocks if block.title}
    words = {word for block in blocks for line in block.commands for word in shlex.split(line, comments=True)}
    assert {word for word in words if word.endswith((".yaml", ".py"))} <= saved
    assert "digits.yaml" in saved
