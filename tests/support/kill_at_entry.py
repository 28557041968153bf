# SPDX-License-Identifier: Apache-2.0
"""A controller killed at one entry of its journal: ``python kill_at_entry.py before|after NUMBER ARGUMENTS...``

``before`` the entry is written, when what it tells has happened already, or ``after`` it is on the disk.
"""

from __future__ import annotations

import os
import signal
import sys

from tfs_deploy.cli.main import run
from tfs_deploy.rollout.controller.journal import Journal

when, number, arguments = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
append = Journal.append
count = 0


def counting(journal, event):
    global count
    count += 1
    if (when, number) == ("before", count):
        os.kill(os.getpid(), signal.SIGKILL)
    append(journal, event)
    if (when, number) == ("after", count):
        os.kill(os.getpid(), signal.SIGKILL)


Journal.append = counting
sys.exit(run(arguments))
