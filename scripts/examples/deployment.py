#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From a model to a rollout and back, in one program.   usage: deployment.py [FOLDER [PORT]]

docs/python.md walks through it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import keras
import numpy as np

import tfs_deploy as td

FILE = """\
name: scale
server: {{grpc_port: {port}, rest_port: 0}}
models:
  - name: scale
    base_path: models/scale
    versions: {{specific: [1]}}
    labels: {{stable: 1}}
    traffic: {{stable: 100}}
"""
X = np.array([[1.0, 2.0]], np.float32)


def export(folder: Path, factor: float) -> td.ExportedVersion:
    """Write the next version: it multiplies the sum of two numbers."""
    x = keras.Input((2,), name="x")
    y = keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(factor), name="y")
    model = keras.Model(x, y(x))
    return td.export_model(model, folder / "models/scale", examples={"serving_default": {"x": X}})


def main(folder: str = ".", port: str = "8500") -> None:
    here = Path(folder)
    print(export(here, 10.0))
    file = here / "scale.yaml"
    file.write_text(FILE.format(port=port))

    deployment = td.Deployment.load(file)
    print(deployment.plan().lines)
    deployment.up()
    print(deployment.status().rows)

    with deployment.client() as client:
        router = td.Router(client, "scale", deployment.traffic_file)
        print("version 1:", router.predict({"x": X})["y"].tolist())

        export(here, 100.0)
        result = deployment.rollout(to=2, steps=(50, 100), bake=0.5, require_traffic=False, on_too_few="pass").run()
        print(result.status.value, [step.verdict.value for step in result.steps])
        print("version 2:", client.predict("scale", {"x": X}, label="stable")["y"].tolist())
        print("smoke:", deployment.smoke().ok)

    asyncio.run(go_back(file))


async def go_back(file: Path) -> None:
    """Do the rest beside other work of an event loop."""
    deployment = td.AsyncDeployment.load(file)
    await deployment.rollback().run_async(on_event=print)
    async with deployment.client() as client:
        reply = await client.predict("scale", {"x": X}, label="stable")
        print("version 1 again:", reply["y"].tolist())
    await deployment.down()


if __name__ == "__main__":
    main(*sys.argv[1:])
