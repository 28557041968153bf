"""A rollout whose disk fills up, told in one JSON line: ``unshare --mount python full_disk.py FILE``

The state directory is a file system of two megabytes, mounted where nobody else sees it; it goes away with the process.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys

from tfs_deploy.client import Client, read_traffic
from tfs_deploy.launch.lifecycle import down, up
from tfs_deploy.rollout import Rollout
from tfs_deploy.spec import load_deployment

deployment = load_deployment(sys.argv[1])
state = deployment.state_dir
state.mkdir(parents=True)
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", state], check=True)
filler = state / "filler"


def fill(line: str) -> None:
    """Leave not one page free once the canary gets traffic."""
    if line == "50 % of the traffic goes to canary":
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1024))


def labels() -> dict[str, int]:
    with Client(f"127.0.0.1:{deployment.server.grpc_port}") as client:
        return {"stable": client.metadata("zoo", label="stable").version}


up(deployment)
try:
    options = {"to": 2, "steps": (50, 100), "bake": 0.3}
    refused = Rollout(deployment, "zoo", **options).run(on_event=fill, check=False)
    facts = {"status": refused.status.value, "reason": refused.reason, "labels": labels()}
    facts |= {"traffic": read_traffic(state / "traffic.json").models["zoo"], "full": filler.stat().st_size > 1 << 20}
    filler.unlink()
    again = Rollout(deployment, "zoo", **options).run(check=False)
    facts |= {"again": again.status.value, "then": labels()}
finally:
    down(deployment)
print(json.dumps(facts))
