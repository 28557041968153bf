"""Validation of a staged version before it is published."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tfs_deploy
from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.review import LINT_CODES, Accepts, review_lint

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def replay_in_fresh_process(directory: Path, tags: Sequence[str], timeout: float) -> dict[str, Any]:
    """Load the directory in a fresh process, replay its goldens and return the result; ``VerdictError`` on failure."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    package_root = str(Path(tfs_deploy.__file__).parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, environment.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "tfs_deploy.export.evidence.replay", str(directory), *tags]
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=directory,  # a module in the user's working directory must not shadow one of Python's own
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
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
        raise VerdictError(
            f"the written model is not the original: {problem}",
            hint=answer.get("hint") or "nothing was published; if a SavedModel was copied, check that one",
        )
    for signature, difference in answer["unsteady"].items():
        logger.warning(
            "signature %r answers the same example differently each time: %s; is dropout in training mode, or are "
            "there random numbers or state? (TFS206 and TFS208 of tfs-deploy lint)",
            signature,
            difference,
        )
    return answer
