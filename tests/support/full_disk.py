# SPDX-License-Identifier: Apache-2.0
"""A rollout whose disk fills up: ``unshare --mount python -m support.full_disk FILE``; exit code 0 if it ends well.

The state directory is a file system of two megabytes, mounted where nobody else sees it; it goes away with the process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import rollout_scenarios
from support.zoo_deployments import Zoo
from tfs_deploy.launch.up import down, up

zoo = Zoo(Path(sys.argv[1]), Path())
zoo.state_dir.mkdir(parents=True)
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", zoo.state_dir], check=True)
up(zoo.deployment)
try:
    rollout_scenarios.a_disk_that_fills_up_in_a_step(zoo)
finally:
    down(zoo.deployment)
