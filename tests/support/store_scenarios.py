# SPDX-License-Identifier: Apache-2.0
"""A deployment whose versions come out of a store, on any kind of server: published, pulled, served, rolled out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from support.consumers import Consumers
from support.live import free_ports
from support.rollout_scenarios import cli
from support.zoo_deployments import ANSWERS, Zoo, document, serving, write_version

STEPS = ("--steps", "50,100", "--bake", "0.5s", "--no-default-gates")


def from_bucket_to_server(folder: Path, models: Path, address: str, container: dict[str, Any] | None = None) -> None:
    """Publish, pull, ``up``, publish, roll out, roll back to what is no longer on disk: no request fails."""
    file = folder / "zoo.yaml"
    shape = document(*free_ports(2), container)
    shape["models"][0]["store"] = address
    file.write_text(yaml.safe_dump(shape, sort_keys=False))
    for number in (1, 2):
        write_version(models / str(number), folder / f"made/{number}", ANSWERS[number])

    def do(*arguments: object) -> str:
        done = cli(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    do("publish", folder / "made/1", "--to", address)
    do("pull", file)
    with serving(Zoo(file, models)) as zoo:
        with Consumers(zoo, 4) as load:
            do("publish", folder / "made/2", "--to", address)
            planned = do("rollout", "plan", file, "--to", 2)
            assert f"version 2 out of {address}" in planned
            assert not (zoo.base / "2").exists(), "a plan changes nothing"
            started = do("rollout", "start", file, "--to", 2, *STEPS)
            assert f"pulling version 2 out of {address}" in started
            assert zoo.served() == ({"stable": 2}, [2])
            shutil.rmtree(zoo.base / "1")
            do("rollback", file)
            assert zoo.served() == ({"stable": 1}, [1])
        assert load.failures == []
        assert min(load.answers[1], load.answers[2]) > 20
