# SPDX-License-Identifier: Apache-2.0
"""A client that follows the endpoint file to where the deployment's server is now."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import threading
from pathlib import Path

import pytest

from tfs_deploy.client import AsyncRouter, deployed
from tfs_deploy.client.deployed import AsyncDeployedClient, DeployedClient
from tfs_deploy.errors import EnvironmentFault, NotFoundError, UnavailableError, UsageError
from tfs_deploy.host.machine import boot_id
from tfs_deploy.host.processes import pid_namespace, start_time
from tfs_deploy.server.testing import function_model, serve_models
from tfs_deploy.state.endpoint import mark_stopped, write_endpoint
from tfs_deploy.state.server_record import Role, ServerRecord, write_server


class Server:
    """Stands for the client of one server: answers with its address, or as if the server were gone."""

    made: dict[str, Server]

    def __init__(self, address: str) -> None:
        self.address, self.gone, self.closed, self.calls = address, False, False, 0
        self.timeouts: list[float] = []

    def predict(self, model, inputs, **wanted):
        self.calls += 1
        self.timeouts.append(wanted["timeout"])
        if self.gone:
            raise UnavailableError("gone")
        if model == "unknown":
            raise NotFoundError("no such model")
        return self.address, wanted.get("label")

    def status(self, model, **_):
        return [self.address]

    def metadata(self, model, **_):
        return self.address

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def servers() -> dict[str, Server]:
    return {}


@pytest.fixture
def connect(servers):
    def make(address: str) -> Server:
        servers[address] = Server(address)
        return servers[address]

    return make


def test_without_a_server_it_says_how_to_start_one(tmp_path, connect):
    with pytest.raises(UsageError, match="no server is recorded in"):
        DeployedClient(tmp_path, connect=connect)


def test_it_moves_when_the_server_moves(tmp_path, connect, servers, monkeypatch):
    monkeypatch.setattr(deployed, "_INTERVAL", 0.0)
    write_endpoint(tmp_path, "a:1", None)
    with DeployedClient(tmp_path, connect=connect) as client:
        assert client.predict("m", {}, label="stable") == ("a:1", "stable")
        write_endpoint(tmp_path, "b:1", None)
        assert client.predict("m", {}, label="stable") == ("b:1", "stable")
        assert (client.status("m"), client.metadata("m"), client.address) == (["b:1"], "b:1", "b:1")
        assert not servers["a:1"].closed  # calls may still be under way there
        write_endpoint(tmp_path, "c:1", None)
        client.status("m")
        assert servers["a:1"].closed
        assert not servers["b:1"].closed
    assert all(server.closed for server in servers.values())


def test_a_call_that_finds_its_server_gone_is_made_again_at_the_new_one(tmp_path, connect, servers, monkeypatch):
    monkeypatch.setattr(deployed, "_INTERVAL", 3600.0)
    write_endpoint(tmp_path, "a:1", None)
    client = DeployedClient(tmp_path, connect=connect)
    write_endpoint(tmp_path, "b:1", None)
    servers["a:1"].gone = True
    assert client.predict("m", {}, label="x") == ("b:1", "x")
    client.close()


@pytest.mark.parametrize(("timeout", "asked"), [(None, 10.0), (7.5, 7.5)])
def test_both_calls_share_one_deadline(tmp_path, connect, servers, monkeypatch, timeout, asked):
    now = itertools.count(0.0, 2.0)
    monkeypatch.setattr(deployed, "_INTERVAL", 3600.0)
    monkeypatch.setattr(deployed.time, "monotonic", lambda: next(now))
    write_endpoint(tmp_path, "a:1", None)
    client = DeployedClient(tmp_path, connect=connect)
    write_endpoint(tmp_path, "b:1", None)
    servers["a:1"].gone = True
    client.predict("m", {}, timeout=timeout)
    assert servers["a:1"].timeouts == [asked]
    assert 0 < servers["b:1"].timeouts[0] < asked - 1
    client.close()


def test_a_call_whose_time_is_up_is_not_made_again(tmp_path, connect, servers, monkeypatch):
    now = itertools.count(0.0, 2.0)
    monkeypatch.setattr(deployed, "_INTERVAL", 3600.0)
    monkeypatch.setattr(deployed.time, "monotonic", lambda: next(now))
    write_endpoint(tmp_path, "a:1", None)
    client = DeployedClient(tmp_path, connect=connect)
    write_endpoint(tmp_path, "b:1", None)
    servers["a:1"].gone = True
    with pytest.raises(UnavailableError):
        client.predict("m", {}, timeout=1.0)
    assert servers["b:1"].timeouts == []
    client.close()


def test_a_server_that_is_gone_without_a_successor_is_an_error(tmp_path, connect, servers):
    write_endpoint(tmp_path, "a:1", None)
    client = DeployedClient(tmp_path, connect=connect)
    servers["a:1"].gone = True
    with pytest.raises(UnavailableError):
        client.predict("m", {})
    assert servers["a:1"].calls == 1
    client.close()


def test_other_errors_are_not_tried_again(tmp_path, connect, servers):
    write_endpoint(tmp_path, "a:1", None)
    client = DeployedClient(tmp_path, connect=connect)
    with pytest.raises(NotFoundError):
        client.predict("unknown", {})
    assert servers["a:1"].calls == 1
    client.close()


def test_threads_share_one_connection(tmp_path, servers):
    write_endpoint(tmp_path, "a:1", None)
    made = []

    def connect(address: str) -> Server:
        made.append(address)
        return Server(address)

    client = DeployedClient(tmp_path, connect=connect)
    threads = [threading.Thread(target=client.predict, args=("m", {})) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["a:1"]
    client.close()


def record(started: int | None = None, **changes) -> ServerRecord:
    """This process, as if it were the server at a:1; with another start time it has ended."""
    started = start_time(os.getpid()) if started is None else started
    there = {"boot": boot_id(), "pid_namespace": pid_namespace(), "grpc_address": "a:1"}
    rest = {"rest_address": None, "flags": (), "settings": (), "log": Path("/moved/server.log"), "log_start": 0}
    return ServerRecord(pid=os.getpid(), started=started, **{**there, **rest, **changes})


def test_whoever_took_the_address_of_a_stopped_server_is_not_called(tmp_path, connect, servers, monkeypatch):
    monkeypatch.setattr(deployed, "_INTERVAL", 0.0)
    write_endpoint(tmp_path, "a:1", None)
    with DeployedClient(tmp_path, connect=connect) as client:
        client.predict("m", {})
        mark_stopped(tmp_path)
        with pytest.raises(UnavailableError, match=r"was stopped; what answers on a:1 now is not it") as caught:
            client.predict("m", {})
        assert (caught.value.reached, caught.value.retriable, servers["a:1"].calls) == (False, True, 1)
        write_endpoint(tmp_path, "a:1", None)
        client.predict("m", {})
    mark_stopped(tmp_path)
    with DeployedClient(tmp_path, connect=connect) as late, pytest.raises(UnavailableError):
        late.predict("m", {})


def test_whoever_took_the_address_of_a_process_that_ended_is_not_called(tmp_path, connect, servers, monkeypatch):
    monkeypatch.setattr(deployed, "_INTERVAL", 0.0)
    write_endpoint(tmp_path, "a:1", None)
    write_server(tmp_path, record())
    with DeployedClient(tmp_path, connect=connect) as client:
        client.predict("m", {})
        write_server(tmp_path, record(started=1))
        with pytest.raises(UnavailableError, match=f"process {os.getpid()}. has ended"):
            client.predict("m", {})
        write_server(tmp_path, record(), Role.SUCCESSOR)  # a replacement on the same ports
        client.predict("m", {})
    assert servers["a:1"].calls == 2


def test_the_server_of_another_directory_is_not_called_through_a_copy_of_it(tmp_path, connect, servers):
    ours, copy = tmp_path / "ours", tmp_path / "copy"
    write_endpoint(ours, "a:1", None)
    write_server(ours, record(log=ours / "server.log"))
    shutil.copytree(ours, copy)
    with DeployedClient(copy, connect=connect) as client, pytest.raises(UnavailableError, match=r"is a copy of .*ours"):
        client.predict("m", {})
    with DeployedClient(ours, connect=connect) as client:
        client.predict("m", {})


@pytest.mark.parametrize("changes", [{"boot": "other"}, {"pid_namespace": "pid:[1]"}, {"pid_namespace": ""}])
def test_a_process_that_cannot_be_seen_from_here_is_not_called_lost(tmp_path, connect, changes):
    write_endpoint(tmp_path, "a:1", None)
    write_server(tmp_path, record(started=1, **changes))
    with DeployedClient(tmp_path, connect=connect) as client:
        client.predict("m", {})


def test_a_damaged_file_keeps_the_client_where_it_is_and_the_log_says_so_once(tmp_path, connect, monkeypatch, caplog):
    monkeypatch.setattr(deployed, "_INTERVAL", 0.0)
    write_endpoint(tmp_path, "a:1", None)
    with DeployedClient(tmp_path, connect=connect) as client:
        (tmp_path / "endpoint.json").write_text('{"generation')
        assert [client.predict("m", {})[0] for _ in range(3)] == ["a:1"] * 3
        assert [record.message.partition("; ")[2] for record in caplog.records] == ["calls still go to a:1"]
        with pytest.raises(EnvironmentFault, match="damaged"):
            DeployedClient(tmp_path, connect=connect)
        write_endpoint(tmp_path, "b:1", None)
        assert client.predict("m", {})[0] == "b:1"


class AwaitedServer(Server):
    """``Server``, awaited."""

    async def predict(self, model, inputs, **wanted):
        return super().predict(model, inputs, **wanted)

    async def status(self, model, **wanted):
        return super().status(model, **wanted)

    async def metadata(self, model, **wanted):
        return super().metadata(model, **wanted)

    async def close(self) -> None:
        super().close()


def test_the_asynchronous_one_moves_and_asks_again(tmp_path, servers, monkeypatch):
    def connect(address):
        return servers.setdefault(address, AwaitedServer(address))

    async def main():
        write_endpoint(tmp_path, "a:1", None)
        async with AsyncDeployedClient(tmp_path, connect=connect) as client:
            assert await client.predict("m", {}, label="stable") == ("a:1", "stable")
            servers["a:1"].gone = True
            with pytest.raises(UnavailableError):
                await client.predict("m", {})
            write_endpoint(tmp_path, "b:1", None)
            assert await client.predict("m", {}, label="stable") == ("b:1", "stable")
            assert (await client.status("m"), await client.metadata("m"), client.address) == (["b:1"], "b:1", "b:1")
            assert not servers["a:1"].closed
            write_endpoint(tmp_path, "c:1", None)
            monkeypatch.setattr(deployed, "_INTERVAL", 0.0)
            await client.status("m")
            assert servers["a:1"].closed
            assert repr(client) == "AsyncDeployedClient('c:1')"
        assert all(server.closed for server in servers.values())

    monkeypatch.setattr(deployed, "_INTERVAL", 3600.0)
    asyncio.run(main())


def test_the_asynchronous_one_with_a_real_server(tmp_path):
    model = function_model(lambda x: {"y": x * 2}, inputs={"x": "float32"}, outputs={"y": "float32"})

    async def main(address):
        write_endpoint(tmp_path, address, None)
        async with AsyncDeployedClient(tmp_path, timeout=20.0) as client:
            router = AsyncRouter(client, "m", weights={1: 1})
            return (await router.predict({"x": [1.5]}))["y"].tolist()

    with serve_models({"m": model}, rest=False) as server:
        assert asyncio.run(main(server.grpc_address)) == [3.0]
