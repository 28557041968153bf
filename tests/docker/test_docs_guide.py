# SPDX-License-Identifier: Apache-2.0
"""docs/how-to/keras-in-docker.md: its commands from the deployment file on, in a container of the tests' image."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.code_blocks import ROOT, blocks_of
from support.live import free_ports

BLOCKS = list(blocks_of(ROOT / "docs/how-to/keras-in-docker.md"))
#: what needs the files of a reader, or a server of another image
LEFT_OUT = re.compile(r"export|pip|doctor|lint|verify|predict|curl|diff|caller")


@pytest.mark.full
def test_the_guide_from_the_deployment_file_on(image: str, tmp_path: Path) -> None:
    grpc, rest = free_ports(2)

    def here(text: str) -> str:
        text = text.replace("tensorflow/serving:2.20.0", image).replace("8500", str(grpc)).replace("8501", str(rest))
        # the versions here were exported without examples
        return text.replace("--bake 5m", "--bake 1s").replace("--keep-warm 10m", "--allow-missing-goldens")

    for number in (1, 2):
        shutil.copytree(ROOT / "tests/data/verify/plain/1", tmp_path / "models/digits" / str(number))
    file = next(block for block in BLOCKS if block.title == "digits.yaml")
    (tmp_path / file.title).write_text(here(file.text))
    lines = [line for block in BLOCKS for line in block.commands if not LEFT_OUT.search(line.partition("#")[0])]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(line: str) -> None:
        done = subprocess.run(
            ["sh", "-c", here(line)], capture_output=True, text=True, cwd=tmp_path, timeout=300, env=environment
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"

    assert lines[-1] == "tfs-deploy down digits.yaml"
    try:
        for line in lines[:-1]:
            run(line)
    finally:
        run(lines[-1])
    assert len(lines) == 8
