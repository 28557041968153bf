# SPDX-License-Identifier: Apache-2.0
"""Every recipe of docs/clients.md runs as it stands, against a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
RECIPES = {title: BLOCK.findall(text) for title, text in SECTION.findall(PAGE.read_text())}
OPTIONAL = ("prometheus_client", "opentelemetry")


def test_every_section_has_a_recipe():
    assert len(RECIPES) >= 15
    assert all(RECIPES.values())


@pytest.mark.parametrize("title", RECIPES)
def test_recipe(title, served, tmp_path):
    code = "\n".join(RECIPES[title])
    for module in OPTIONAL:
        if f"import {module}" in code or f"from {module}" in code:
            pytest.importorskip(module)
    for name in ("ca.pem", "client.pem"):
        # only read, never used: no recipe reaches a server over TLS
        (tmp_path / name).write_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    (tmp_path / "client.key").write_text("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n")
    code = code.replace("localhost:8500", served.grpc).replace("localhost:8501", served.rest)
    # a process of its own: a recipe may fork, and must bring its imports
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=100,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert result.returncode == 0, result.stderr
