# SPDX-License-Identifier: Apache-2.0
"""The engine itself dies while a deployment comes up: on an engine of this test's own, never on the machine's."""

from __future__ import annotations

import subprocess
import time

import pytest

pytestmark = pytest.mark.docker


def test_an_engine_killed_while_a_deployment_comes_up(own_engine, make_shop, image):
    shop = make_shop()
    shop.environment["DOCKER_HOST"] = own_engine.host
    own_engine.load(image)
    process = subprocess.Popen(shop.line("up"), stderr=subprocess.PIPE, text=True, env=shop.environment)
    listing = ["docker", "--host", own_engine.host, "ps", "--quiet"]
    end = time.monotonic() + 40
    while not subprocess.run(listing, capture_output=True).stdout and time.monotonic() < end:
        time.sleep(0.02)
    own_engine.kill()
    _, said = process.communicate(timeout=300)
    assert process.returncode == 3
    assert "Docker Engine" in said
    assert "Traceback" not in said

    own_engine.start()
    healed = shop.json("up")
    assert healed["exit_code"] == 0
    assert shop.json("status")["good"] is True
    assert shop.json("down")["stopped"] is True
    assert subprocess.run([*listing, "--all"], capture_output=True).stdout == b""
