"""Checks of a staged version before it is published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tfs_deploy
from tfs_deploy.errors import UsageError, VerdictError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.savedmodel import SavedModelInfo

#: ops that call back into the Python process that wrote the model, which a server does not have
PYTHON_OPS: Final = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})


def refuse_python_ops(info: SavedModelInfo) -> None:
    """Raise ``UsageError`` if the graph needs the Python process that made it."""
    found = sorted(PYTHON_OPS.intersection(info.ops))
    if found:
        raise UsageError(
            f"the graph calls back into Python ({', '.join(found)}), which no server can",
            hint="replace tf.py_function / tf.numpy_function with TensorFlow operations, or do that step in the client",
        )


def replay_in_fresh_process(directory: Path, tags: Sequence[str], timeout: float) -> dict[str, Any]:
    """Load the directory in a process of its own and replay its goldens; ``VerdictError`` if anything differs."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    package_root = str(Path(tfs_deploy.__file__).parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, environment.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "tfs_deploy.export.replay", str(directory), *tags]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise VerdictError(
            f"the written model did not load and answer its examples within {timeout:g} s",
            hint="give check_timeout more seconds, or fewer examples",
        ) from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        answer = {"error": f"the process that loaded it ended with {done.returncode}: {last[0]}"}
    if "error" in answer:
        raise VerdictError(f"the written model is not the original: {answer['error']}", hint=answer.get("hint"))
    return answer
