# SPDX-License-Identifier: Apache-2.0
"""A program that uses every client where the package's modules see Windows: ``GRPC_ADDRESS REST_URL FOLDER``.

The server has the model ``double`` (versions 1 and 2, label stable on 1), whose inputs below 0 are an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

from support.windows import pretend_windows

X = {"x": np.array([1.0, 2.0], np.float32)}
ROWS = [{"x": np.float32(row)} for row in range(100)]


def use(client: Any) -> None:
    from tfs_deploy.errors import StatusError

    with client:
        reply = client.predict("double", X)
        assert pickle.loads(pickle.dumps(reply)).outputs["y"].tolist() == reply.outputs["y"].tolist() == [2.0, 4.0]
        assert {each.version for each in client.status("double")} >= {1}
        assert client.metadata("double").version == 2
        client.wait_ready("double")
        found = [one.outputs["y"].item() for one in client.predict_many("double", ROWS, batch_size=8)]
        assert found == [2.0 * row for row in range(100)]
        error = raised(lambda: client.predict("double", {"x": np.float32([-1])}), StatusError)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
        raised(lambda: client.predict("triple", X), StatusError)
        assert client.stats().calls > 0


async def use_async(client: Any) -> None:
    async with client:
        reply = await client.predict("double", X)
        assert reply.outputs["y"].tolist() == [2.0, 4.0]
        assert await client.status("double")
        found = [one.outputs["y"].item() async for one in client.predict_many("double", ROWS, batch_size=8)]
        assert found == [2.0 * row for row in range(100)]


def route(grpc: str, folder: Path) -> None:
    from tfs_deploy import Client, Router
    from tfs_deploy.client import DeployedClient, read_traffic, write_traffic
    from tfs_deploy.state.endpoint import write_endpoint

    write_traffic(folder / "traffic.json", "double", {"stable": 100})
    assert read_traffic(folder / "traffic.json").models == {"double": {"stable": 100.0}}
    write_endpoint(folder, grpc, None)
    with DeployedClient(folder) as deployed:
        router = Router(deployed, "double", folder / "traffic.json")
        assert router.predict(X).version == 1
        router.close()
    with Client(grpc) as client:
        assert Router(client, "double", weights={2: 1}, copies={1: 100}).predict(X).version == 2


async def route_async(grpc: str, folder: Path) -> None:
    from tfs_deploy import AsyncClient, AsyncRouter

    async with AsyncClient(grpc) as client:
        router = AsyncRouter(client, "double", folder / "traffic.json")
        assert (await router.predict(X)).version == 1
        router.close()


def refuse(folder: Path) -> None:
    """See that what needs Linux says so, in one sentence."""
    import tfs_deploy
    from tfs_deploy.client import Client
    from tfs_deploy.errors import PlatformError
    from tfs_deploy.launch.embedded.process import Process
    from tfs_deploy.store.publish import lock_base_path

    file = folder / "shop.yaml"
    file.write_text("name: shop\nmodels: [{name: half, base_path: half}]\n")
    shop = tfs_deploy.Deployment.load(file, check_disk=False)
    assert shop.status().server is None
    assert tfs_deploy.export_model
    assert tfs_deploy.Rollout
    calls = {
        "the lock of a deployment": shop.up,
        "the embedded server": lambda: Process.spawn(["server"], log_path=folder / "log", environment={}),
        "writing a version directory": lambda: lock_base_path(folder).__enter__(),
        "the address unix:/run/server": lambda: Client("unix:/run/server"),
    }
    for what, call in calls.items():
        error = raised(call, PlatformError)
        assert error.message == f"{what} needs Linux"
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def command(grpc: str) -> None:
    from tfs_deploy.cli.entry import main

    def run(*arguments: str) -> tuple[int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
            return main([*arguments]), out.getvalue()

    code, told = run("predict", grpc, "double", "--input", "x=[3]", "--json")
    assert (code, json.loads(told)["outputs"]["y"]["values"]) == (0, [6.0])
    code, told = run("doctor")
    assert (code, told.partition("\n")[0]) == (3, "error: a machine that serves needs Linux")


def raised(call: Any, kind: type[Any]) -> Any:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def main(grpc: str, rest: str, folder: Path) -> None:
    pretend_windows()
    from tfs_deploy import AsyncClient, AsyncRestClient, Client, RestClient, codec

    assert codec.encode_predict_request("double", X)
    use(Client(grpc))
    use(RestClient(rest))
    asyncio.run(use_async(AsyncClient(grpc)))
    asyncio.run(use_async(AsyncRestClient(rest)))
    route(grpc, folder)
    asyncio.run(route_async(grpc, folder))
    refuse(folder)
    command(grpc)
    print("done")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
