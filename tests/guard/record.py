# SPDX-License-Identifier: Apache-2.0
"""Record the public surface anew: ``python tests/guard/record.py``; then read the difference before it is committed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).parent
    for old in (folder / "recorded").rglob("*.json"):
        old.unlink()
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder]
    sys.exit(subprocess.run(line, env={**os.environ, "TFS_DEPLOY_RECORD": "1"}, check=False).returncode)
