# SPDX-License-Identifier: Apache-2.0
"""The schema when several threads ask for it first."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys, threading
from tfs_deploy import protos
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)
pools, classes = set(), set()
def ask():
    barrier.wait()
    pools.add(id(protos.pool()))
    classes.add(id(protos.ModelSpec))
    protos.GetModelStatusRequest(model_spec=protos.ModelSpec(name="m"))
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(pools) == len(classes) == 1, (pools, classes)
"""


def test_threads_that_ask_first_get_one_family_of_classes():
    for _ in range(3):
        result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
        assert (result.returncode, result.stderr) == (0, "")
