# SPDX-License-Identifier: Apache-2.0
"""Replay the goldens of a version directory in a process that never saw the model: ``python -m ... DIRECTORY``.

Prints a JSON document: ``{"signatures": [...], "calls": n, "unsteady": {...}}``, or ``{"error": "...", "kind": "..."}``
and exit code 1. ``unsteady``: signature -> how a second run of the same example differs from the first, if it does.
Kinds: ``differs`` (an answer is not the original's), ``fails`` (no load or no answer), ``environment`` (no TensorFlow).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import EnvironmentFault, StatusError, TfsDeployError, VerdictError
from tfs_deploy.runtime.engine import Engine
from tfs_deploy.runtime.load_hints import load_hint
from tfs_deploy.savedmodel.goldens import compare, read_goldens

if TYPE_CHECKING:
    from collections.abc import Sequence


def replay(directory: str, tags: Sequence[str]) -> dict[str, Any]:
    """Load the directory as a server does and replay every golden; raises ``VerdictError`` at the first mismatch."""
    goldens = read_goldens(directory)
    again, unsteady = {golden.signature for golden in goldens}, {}
    with Engine.load(directory, tags=tags) as engine:
        for number, golden in enumerate(goldens):
            actual = engine.run(golden.signature, golden.inputs)
            mismatch = compare(golden.outputs, actual, golden.rtol, golden.atol)
            if mismatch is not None:
                raise VerdictError(
                    f"signature {golden.signature!r}, example {number}: {mismatch}",
                    hint="raise rtol or atol if that is close enough; otherwise the graph differs from the function",
                )
            if golden.signature in again:
                again.discard(golden.signature)
                second = compare(actual, engine.run(golden.signature, golden.inputs), golden.rtol, golden.atol)
                if second is not None:
                    unsteady[golden.signature] = str(second)
        return {"signatures": sorted(engine.signatures), "calls": len(goldens), "unsteady": unsteady}


def main() -> int:
    """Print the result for the arguments ``DIRECTORY [TAG ...]`` and return the exit code."""
    directory, *tags = sys.argv[1:]
    try:
        document = replay(directory, tags or ("serve",))
    except TfsDeployError as error:
        kinds = {EnvironmentFault: "environment", VerdictError: "differs"}
        kind = next((kind for cls, kind in kinds.items() if isinstance(error, cls)), "fails")
        hint = load_hint(error, error.hint) if isinstance(error, StatusError) else error.hint
        document = {"error": error.message, "hint": hint, "kind": kind}
    sys.stdout.write(json.dumps(document))
    return 1 if "error" in document else 0


if __name__ == "__main__":
    sys.exit(main())
