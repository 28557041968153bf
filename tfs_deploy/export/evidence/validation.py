# SPDX-License-Identifier: Apache-2.0
"""Validation of a staged version before it is published."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tfs_deploy
from tfs_deploy.errors import EnvironmentFault, UsageError, VerdictError
from tfs_deploy.host.python_module import module_command
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.graph.op_libraries import VARIABLE, op_libraries
from tfs_deploy.savedmodel.graph.ops import stock_ops
from tfs_deploy.savedmodel.review import LINT_CODES, Accepts, review_lint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.savedmodel import SavedModelInfo

logger = logging.getLogger(__name__)
#: what no server can serve: no signature, missing tensors, Python functions, a graph that is too large, missing files,
#: a warmup file that makes the load fail
_UNSERVABLE: Final = frozenset({"TFS101", "TFS112", "TFS201", "TFS301", "TFS302", "TFS303", "TFS501", "TFS502"})
_ACCEPTS: Final = Accepts(LINT_CODES - _UNSERVABLE)
#: rules about a version's number and neighbours, which a staged one does not have yet, and about the tag, which the
#: caller chose
_NOT_YET: Final = ("TFS4", "TFS115")


def inspect_served(folder: Path, tags: Sequence[str]) -> SavedModelInfo:
    """Describe a written model by the meta graph that will be served: the one with exactly these tags."""
    info = inspect_model(folder)
    served = tuple(graph for graph in info.meta_graphs if set(graph.tags) == set(tags))
    return dataclasses.replace(info, meta_graphs=served or info.meta_graphs)


def refuse_unservable(info: SavedModelInfo) -> None:
    """Raise ``UsageError`` for what no server can serve, and warn of what some servers cannot."""
    review = review_lint(info, ignore=_NOT_YET)
    for remark in _ACCEPTS.accepted(review):
        logger.warning("%s %s; %s", remark.code, remark, remark.hint)
    for remark in _ACCEPTS.refused(review):
        raise UsageError(f"{remark.message} ({remark.code} {remark.where})", hint=remark.hint)


def replay_in_fresh_process(info: SavedModelInfo, tags: Sequence[str], timeout: float) -> dict[str, Any]:
    """Load the directory in a fresh process, replay its goldens and return the result; ``VerdictError`` on failure."""
    directory = info.path
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    if libraries := _op_libraries(info):
        environment[VARIABLE] = os.pathsep.join(libraries)
    package_root = str(Path(tfs_deploy.__file__).parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, environment.get("PYTHONPATH")]))
    try:
        done = run_replay([str(directory), *tags], environment, timeout)
    except subprocess.TimeoutExpired as error:
        raise VerdictError(
            f"the written model did not load and answer its examples within {timeout:g} s",
            hint="raise check_timeout, or give fewer examples",
        ) from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        answer = {"error": f"the process that loaded it exited with {done.returncode}: {last[0]}"}
    if "error" in answer:
        # The directory is gone by the time that this is read.
        problem = answer["error"].replace(f"{directory}/", "")
        hint = answer.get("hint") or "nothing was published; if a SavedModel was copied, check that one"
        if answer.get("kind") == "environment":
            raise EnvironmentFault(
                f"the written model cannot be checked: {problem}", hint=f"{hint}; --no-check (check=False) skips it"
            )
        differs = "is not the original" if answer.get("kind") == "differs" else "cannot be loaded or called"
        raise VerdictError(f"the written model {differs}: {problem}", hint=hint)
    for signature, difference in answer["unsteady"].items():
        logger.warning(
            "signature %r answers the same example differently each time: %s; is dropout in training mode, or are "
            "there random numbers or state? (TFS206 and TFS208 of tfs-deploy lint)",
            signature,
            difference,
        )
    return answer


def run_replay(
    arguments: Sequence[str], environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[bytes]:
    """Run ``replay`` in a process of its own; ``TimeoutExpired`` if it takes longer than ``timeout`` seconds."""
    return subprocess.run(
        module_command("tfs_deploy.export.evidence.replay", *arguments),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def _op_libraries(info: SavedModelInfo) -> list[str]:
    """Return the libraries of custom ops that the fresh process needs: the chosen ones, and those of imported packages.

    A package such as ``tensorflow_text`` loads its library into this process (on Linux, ``/proc`` knows), but the fresh
    process imports no package.
    """
    chosen = [str(path) for path in op_libraries()]
    maps = Path("/proc/self/maps")
    if info.ops.keys() <= stock_ops().keys() | info.serving.graph.functions.keys() or not maps.is_file():
        return chosen
    mapped = dict.fromkeys(line.split(maxsplit=5)[5] for line in maps.read_text().splitlines() if line.endswith(".so"))
    return [*chosen, *(path for path in mapped if path not in chosen and _registers_ops(Path(path)))]


def _registers_ops(library: Path) -> bool:
    """Tell whether a library is linked with TensorFlow, but is neither a part of it nor a Python module."""
    if not library.is_file() or "tensorflow" in library.parent.parts[-3:]:
        return False
    data = library.read_bytes()
    return b"libtensorflow_framework.so" in data and b"PyInit_" not in data
