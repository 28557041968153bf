# SPDX-License-Identifier: Apache-2.0
"""Pulls whose disk fills up on the way: ``python -m support.pull_to_full_disk BASE PLACE ...``; prints what is told.

The base path is below a file system of half a megabyte, mounted where no other process sees it; exit code 77 if this
process may not mount one.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path
from unittest import mock

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.store.places.opened import open_place
from tfs_deploy.store.places.pull import pull_version

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000


def main() -> int:
    base = Path(sys.argv[1])
    namespaces = CLONE_NEWNS | (0 if os.geteuid() == 0 else CLONE_NEWUSER)
    if ctypes.CDLL(None).unshare(namespaces) != 0:
        return 77
    if os.system(f"mount --make-rprivate / 2>/dev/null; mount -t tmpfs -o size=512k tmpfs {base} 2>/dev/null"):
        return 77
    room = shutil._ntuple_diskusage(1 << 40, 0, 1 << 40)  # as it was when the pull began
    for place in sys.argv[2:]:
        with mock.patch("shutil.disk_usage", return_value=room):
            try:
                pull_version(open_place(place), 1, base / "digits")
            except EnvironmentFault as error:
                told = f"{error.message} | {error.hint}".replace(str(base), "BASE")
                print(told, error.retriable, sorted(path.name for path in base.iterdir()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
