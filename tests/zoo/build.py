# SPDX-License-Identifier: Apache-2.0
"""Build and export models in a process of their own: ``python -m zoo.build FOLDER LIBRARY/MODEL...``.

Below FOLDER, each model gets a folder LIBRARY/MODEL with ``model`` (the base path), ``answers.npz`` (the request and
what the original answered) and ``built.json`` (seconds and tolerance, or what went wrong).
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy import export_model
from zoo.catalog import libraries

if TYPE_CHECKING:
    from zoo.specimen import Specimen


def build(builder: Callable[[], Specimen], folder: Path) -> dict[str, Any]:
    """Build and export a model; return what ``built.json`` holds."""
    begun = time.perf_counter()
    try:
        specimen = builder()
    except Exception:  # noqa: BLE001 - whatever a library raises
        return {"broken": traceback.format_exc()}
    built = time.perf_counter()
    arrays = {f"in {name}": np.asarray(value) for name, value in specimen.inputs.items()}
    arrays |= {f"out {name}": np.asarray(value) for name, value in specimen.outputs.items()}
    np.savez(folder / "answers.npz", **arrays)
    try:
        export_model(
            specimen.source,
            folder / "model",
            signatures=specimen.signatures,
            examples={specimen.signature: dict(specimen.inputs)},
            rtol=specimen.rtol,
            atol=specimen.atol,
        )
    except Exception as error:  # noqa: BLE001 - a traceback of an export is a fault like a refusal
        return {"refused": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    return {
        "signature": specimen.signature,
        "rtol": specimen.rtol,
        "atol": specimen.atol,
        "server": {
            "flags": dict(specimen.flags),
            "op_libraries": [str(path) for path in specimen.op_libraries],
        },
        "build_seconds": built - begun,
        "export_seconds": time.perf_counter() - built,
    }


def main(out: str, *names: str) -> None:
    for each in names:
        library, _, name = each.partition("/")
        folder = Path(out) / each
        folder.mkdir(parents=True)
        document = build(libraries()[library].models[name], folder)
        (folder / "built.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main(*sys.argv[1:])
