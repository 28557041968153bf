# SPDX-License-Identifier: Apache-2.0
"""``Deployment`` and its async twin: one class of values and operations, the same arguments, one lock."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pickle
import shutil
import threading

import pytest

import tfs_deploy as td
from tfs_deploy import deployment as values
from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import LockedError, SpecError, UsageError, VerdictError
from tfs_deploy.host.threads import in_thread
from tfs_deploy.operations import AsyncDeployment, Deployment
from tfs_deploy.operations.loaded import LoadedDeployment
from tfs_deploy.state.active import write_active
from tfs_deploy.state.lock import lock

OPERATIONS = ("plan", "up", "restart", "down", "status", "smoke")


@pytest.fixture
def file(tmp_path, models, free_port):
    shutil.copytree(models / "saved_model_half_plus_two_2_versions", tmp_path / "half")
    path = tmp_path / "half.yaml"
    path.write_text(
        f"name: half\nserver: {{grpc_port: {free_port}, rest_port: 0}}\n"
        "models: [{name: half, base_path: half, labels: {stable: 123}, versions: {specific: [123]}}]\n"
    )
    return path


@pytest.mark.parametrize("kind", [Deployment, AsyncDeployment])
def test_it_is_the_values_of_its_file(file, kind):
    deployment, plain = kind.load(file), load_deployment(file)
    assert isinstance(deployment, values.Deployment)
    assert kind.of(plain) == deployment
    assert repr(deployment) == repr(plain).replace("Deployment(", f"{kind.__name__}(", 1)
    assert (deployment.state_dir, deployment.models) == (plain.state_dir, plain.models)
    assert deployment.traffic_file == plain.state_dir / "traffic.json"
    assert pickle.loads(pickle.dumps(deployment)) == deployment


def test_the_names_are_public():
    assert (td.Deployment, td.AsyncDeployment) == (Deployment, AsyncDeployment)


def test_load_looks_at_the_disk_unless_told_not_to(file):
    shutil.rmtree(file.parent / "half")
    with pytest.raises(SpecError, match="half"):
        Deployment.load(file)
    assert Deployment.load(file, check_disk=False).models[0].name == "half"


def test_advice_is_a_warning_in_the_log_or_for_the_caller(file, caplog):
    file.write_text(file.read_text().replace("specific: [123]", "specific: [123, 124]"))
    told = []
    Deployment.load(file, on_advice=told.append)
    assert told
    with caplog.at_level(logging.WARNING):
        Deployment.load(file)
    assert [record.message for record in caplog.records] == [str(problem) for problem in told]


def test_one_model_needs_no_name(file):
    deployment = Deployment.load(file)
    assert deployment.model_name() == deployment.model_name("half") == deployment.rollout(to=124).model.name == "half"
    with pytest.raises(UsageError, match="has no model 'hlaf'"):
        deployment.rollout("hlaf")
    file.write_text(file.read_text().replace("models: [", "models: [{name: other, base_path: other}, "))
    with pytest.raises(UsageError, match="has several models"):
        Deployment.load(file, check_disk=False).rollback()


def test_what_changes_something_waits_for_the_lock(file):
    deployment = Deployment.load(file)
    with lock(deployment.state_dir, "up"):
        for change in (deployment.up, deployment.restart, deployment.down, deployment.rollout(to=124).run):
            with pytest.raises(LockedError):
                change()
        assert deployment.plan().action == "start"
        assert deployment.status().server is None
        leaves = threading.Event()
    with lock(deployment.state_dir, "up"):
        waiting = threading.Thread(target=lambda: (deployment.down(wait_lock=60), leaves.set()))
        waiting.start()
        assert not leaves.wait(0.2)
    assert leaves.wait(60)


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_async_twin_takes_the_same_arguments(name):
    blocking, awaited = getattr(Deployment, name), getattr(AsyncDeployment, name)
    assert inspect.signature(awaited) == inspect.signature(blocking)
    assert inspect.iscoroutinefunction(awaited)
    assert not inspect.iscoroutinefunction(blocking)


def test_no_operation_lacks_its_twin():
    public = {name for name in vars(Deployment) if not name.startswith("_")} - {"client"}
    assert public == set(OPERATIONS)
    assert not public & set(vars(LoadedDeployment))


def test_awaited_operations(file):
    async def use():
        deployment = AsyncDeployment.load(file)
        assert (await deployment.plan()).action == "start"
        assert not (await deployment.status()).good
        assert await deployment.down() is None
        with pytest.raises(UsageError, match="no server is recorded"):
            deployment.client()
        with lock(deployment.state_dir, "up"), pytest.raises(LockedError):
            await deployment.rollout(to=124).run_async()

    asyncio.run(use())


def test_a_cancelled_operation_runs_to_its_end_first():
    entered, leave, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        entered.set()
        leave.wait(60)
        ended.set()
        raise VerdictError("not told")

    async def cancel():
        task = asyncio.ensure_future(in_thread(work))
        await asyncio.to_thread(entered.wait, 60)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(cancel())


def test_status_tells_what_a_rollout_left_and_how_to_go_back_to_the_file(file):
    deployment = Deployment.load(file)
    (model,) = deployment.models
    deployment.state_dir.mkdir(parents=True)
    record = write_active(deployment.state_dir, {"half": ActiveModel.of(model, (123,), {"stable": 123, "canary": 123})})

    (note,) = (note for note in deployment.status().notes if "last rollout" in note)

    assert "write versions: {specific: [123]}, labels: {canary: 123, stable: 123}" in note
    assert f"to go back to what the file says, delete {record} before the next up" in note
    assert note in deployment.plan().notes
    record.unlink()
    assert not any("last rollout" in note for note in deployment.status().notes)
