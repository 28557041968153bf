# SPDX-License-Identifier: Apache-2.0
"""The command that runs one of our modules in a process of its own."""

from __future__ import annotations

import sys
from typing import Final

#: whether this Python has ``-P``, which keeps the working directory off ``sys.path``: 3.10 does not
_HAS_OPTION_P: Final = hasattr(sys.flags, "safe_path")
_WITHOUT_OPTION_P: Final = (
    "import sys; sys.path.pop(0); import runpy; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the words that run ``module`` with this Python.

    The working directory is not searched for modules: a user's ``grp.py`` or ``json.py`` beside the deployment file
    must not stand in for Python's own.
    """
    if _HAS_OPTION_P:
        return [sys.executable, "-P", "-m", module, *arguments]
    return [sys.executable, "-c", _WITHOUT_OPTION_P, module, *arguments]
