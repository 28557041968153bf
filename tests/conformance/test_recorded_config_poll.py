# SPDX-License-Identifier: Apache-2.0
"""Recorded edits of a polled config file: the same models served afterwards."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDED = Path(__file__).parent / "recorded" / "config_poll"
PATIENCE_SECONDS = 60.0
#: how long after an edit that changes nothing the states must stay: more than one poll
QUIET_SECONDS = 1.3


def status(server: Any, model: str) -> dict[str, str] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.rest_port}/v1/models/{model}", timeout=100) as reply:
            return {s["version"]: s["state"] for s in json.load(reply)["model_version_status"]}
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 404:
            raise
        return None


def test_recorded_config_poll(start_server: Callable[..., Any], tmp_path: Path, models: Path) -> None:
    cases = [json.loads(path.read_text()) for path in sorted(RECORDED.glob("*.json"))]
    config = tmp_path / "poll.config"

    def write(text: str) -> None:
        staged = tmp_path / "staged.config"
        staged.write_text(text.replace("/models/", f"{models}/").replace("/run/w/", f"{tmp_path}/"))
        staged.rename(config)

    write(cases[0]["config_file_now"])
    server = start_server(
        f"--model_config_file={config}",
        "--model_config_file_poll_wait_seconds=1",
        "--file_system_poll_wait_seconds=1",
        "--max_num_load_retries=0",
    )
    server.wait_for_versions("m", {"123", "124"})
    before: dict[str, Any] = {}
    for case in cases:
        if case["config_file_now"] is None:
            config.unlink()
        else:
            write(case["config_file_now"])
        (after,) = (value for key, value in case.items() if key.startswith("status_after"))
        wanted = {
            model: None if reply["statuses"] is None else {str(s["version"]): s["state"] for s in reply["statuses"]}
            for model, reply in after.items()
        }
        if all(before.get(model, states) == states for model, states in wanted.items()):
            time.sleep(QUIET_SECONDS)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := {model: status(server, model) for model in wanted}) != wanted:
            assert time.monotonic() < deadline, f"{case['case']}: {found}, not {wanted}"
            time.sleep(0.02)
        before |= wanted
