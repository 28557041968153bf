# SPDX-License-Identifier: Apache-2.0
"""Broken models and servers of every class, each refused by the right check for the right reason; good ones pass.

The long form takes them all, many times over; the short form those that need no TensorFlow to be made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tfs_deploy.errors import LaunchError, UsageError
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.manifest import build_manifest, signature_digest, write_manifest
from tfs_deploy.verify.checks import GROUPS, excluded_checks
from tfs_deploy.verify.groups.data import DataSettings
from tfs_deploy.verify.groups.load_test import NO_LOAD, LoadSettings
from tfs_deploy.verify.measure.budgets import Budget
from tfs_deploy.verify.measure.metrics import MetricLimit
from tfs_deploy.verify.run import VerificationPlan, verify
from tfs_deploy.verify.serving import verification_targets
from tfs_deploy.verify.subjects import subjects_of_directory

PLAIN = Path(__file__).parents[2] / "data/verify/plain"
MODELS = PLAIN.parents[1] / "models"
MAKER = Path(__file__).with_name("make_models.py")
REPEATS = int(os.environ.get("TFS_DEPLOY_VERIFY_REPEATS", "2"))


def with_manifest(version: Path) -> None:
    write_manifest(
        version, build_manifest(version, signature_digest=signature_digest(inspect_model(version).signatures))
    )


def cut_graph(version: Path) -> None:
    graph = version / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:4000])


def no_graph(version: Path) -> None:
    (version / "saved_model.pb").unlink()


def no_shard(version: Path) -> None:
    (version / "variables/variables.data-00000-of-00001").unlink()


def bent_shard(version: Path) -> None:
    shard = version / "variables/variables.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(bytes(data))


def changed_after_export(version: Path) -> None:
    with_manifest(version)
    (version / "fingerprint.pb").write_bytes(b"other")


def added_after_export(version: Path) -> None:
    with_manifest(version)
    (version / "assets.extra/notes.txt").write_text("added by hand")


def damaged_manifest(version: Path) -> None:
    with_manifest(version)
    (version / "assets.extra/tfs_deploy.json").write_text('{"format": 1}')


def damaged_goldens(version: Path) -> None:
    x = np.ones(2, np.float32)
    write_goldens(version, [Golden("serving_default", {"x": x}, {"y": x / 2 + 2})])
    (version / "assets.extra/goldens/tensors.npz").write_bytes(b"no archive")


def goldens_of_nobody(version: Path) -> None:
    x = np.ones(2, np.float32)
    write_goldens(version, [Golden("gone", {"x": x}, {"y": x / 2 + 2})])


def wrong_goldens(version: Path) -> None:
    x = np.ones(2, np.float32)
    write_goldens(version, [Golden("serving_default", {"x": x}, {"y": x})])


#: damage done to a good version -> the check that says no, and what its reason holds
DAMAGE: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "graph cut": (cut_graph, "files.readable", "saved_model.pb"),
    "graph gone": (no_graph, "files.readable", "saved_model.pb"),
    "shard gone": (no_shard, "files.readable", "data-00000-of-00001 does not exist"),
    "shard bent": (bent_shard, "files.readable", "does not match its checksum"),
    "changed": (changed_after_export, "files.manifest", "fingerprint.pb: changed"),
    "added": (added_after_export, "files.manifest", "assets.extra/notes.txt: unlisted"),
    "manifest damaged": (damaged_manifest, "files.manifest", "is not a valid manifest"),
    "goldens damaged": (damaged_goldens, "files.goldens", "tensors.npz"),
    "goldens of nobody": (goldens_of_nobody, "files.goldens", "'gone'"),
}

#: model of make_models.py -> the check that says no, and what its reason holds
BROKEN = {
    "bad_always_refuses": ("smoke.signature", "nothing is right"),
    "bad_hangs": ("smoke.made-up", "DEADLINE_EXCEEDED"),
    "bad_nan": ("behaviour.finite", "NaN"),
    "bad_zeros": ("behaviour.finite", "zeros: output 'y' is NaN"),
    "bad_one_row": ("behaviour.batch", "one row is answered, but a batch of 3 copies"),
    "bad_batch_statistics": ("behaviour.batch", "row 0 alone"),
    "bad_remembers": ("behaviour.deterministic", "the second answer differs"),
    "bad_huge": ("smoke.made-up", "the answer has 200 MB"),
    "bad_resource": ("files.readable", "output 'y' is a resource"),
    "bad_random": ("behaviour.deterministic", "the second answer differs"),
    "bad_mixes_rows": ("behaviour.batch", "row 0 alone"),
    "bad_labels": ("behaviour.labels", "the order of the labels changes"),
    "bad_promise": ("smoke.made-up", "shape [1]"),
    "bad_initializer": ("load.served", "HashTable has different value for same key"),
    "bad_warmup_at_run": ("load.served", "x has to be positive"),
    "bad_warmup": ("files.lint", "TFS501"),
    "bad_recorded": ("smoke.recorded", "3.5 instead of 2.5"),
    "bad_python_function": ("files.lint", "TFS201"),
    "bad_custom_op": ("files.lint", "TFS202"),
    "bad_aborts": ("files.lint", "TFS203"),
    "bad_no_signature": ("files.lint", "TFS101"),
    "bad_tags": ("files.lint", "TFS115"),
    "bad_compiled": ("files.lint", "TFS210"),
    "bad_blob": ("smoke.made-up", "name it 'blob_bytes'"),
}
GOOD = (
    *("good_recorded", "good_examples", "good_images", "good_several_signatures", "good_text", "good_sequences"),
    *("good_convolution", "good_halves", "good_scalars", "good_tensorflow_1", "good_warmed"),
    *("good_ranked", "good_deviation", "good_words", "good_padded"),
    *("good_crossed", "good_sound", "good_scale", "good_raw_text"),
)


@dataclass(frozen=True)
class Asked:
    """A good model of which something is asked that it does not have."""

    model: str
    check: str
    reason: str
    baseline: str | None = None
    budgets: tuple[str, ...] = ()
    metric: str = ""
    ignore: tuple[str, ...] = ()


ASKED = {
    "renamed output": Asked("bad_renamed_output", "files.contract", "output 'y': it is gone", baseline="plain"),
    "other dtype": Asked("bad_other_dtype", "files.contract", "float64 instead of float32", baseline="plain"),
    "labels moved": Asked(
        "bad_labels_moved", "behaviour.baseline-labels", "labels are high, low, those of", baseline="labelled"
    ),
    "slow": Asked("bad_slow", "load-test.budget", "p50 is", budgets=("p50 < 2ms",)),
    "slower than the baseline": Asked(
        "bad_slow", "load-test.budget", "the baseline's is", baseline="plain", budgets=("p50 < 1.5x",)
    ),
    "memory": Asked("plain", "load-test.budget", "memory is", budgets=("memory < 10MB",)),
    "metric": Asked("plain", "data.metric", "mae is", metric="mae < 0.5"),
    "ends its server": Asked("bad_aborts", "smoke.made-up", "UNAVAILABLE", ignore=("TFS203",)),
}


def plan_for(path: Path, *, only: tuple[str, ...] = (), **options) -> VerificationPlan:
    baseline = options.pop("baseline", None)
    subjects = tuple(subjects_of_directory(path, baseline=None if baseline is None else str(baseline)))
    return VerificationPlan(
        subjects, tuple(verification_targets(None, (), None)), excluded_checks=excluded_checks((), only), **options
    )


def refused(plan: VerificationPlan, identity: str, reason: str) -> None:
    verification = verify(plan)
    first = verification.first_failed
    assert first is not None
    assert (first.id, reason in first.reason) == (identity, True), str(first)
    assert not verification.ok
    assert verification.seconds < 60


def damaged(folder: Path, damage: Callable[[Path], None]) -> Path:
    shutil.copytree(PLAIN, folder / "plain")
    damage(folder / "plain/1")
    return folder / "plain"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, MAKER, folder], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    shutil.copytree(PLAIN, folder / "plain", dirs_exist_ok=True)
    return folder


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_files_are_found_without_a_server(kind, tmp_path):
    damage, identity, reason = DAMAGE[kind]
    refused(plan_for(damaged(tmp_path, damage), only=("files",)), identity, reason)


def test_what_cannot_be_read_is_not_loaded(tmp_path):
    verification = verify(plan_for(damaged(tmp_path, cut_graph)))
    assert [check.id for check in verification.failed] == ["files.readable"]
    assert verification.identities == (None,)
    assert verification.as_dict()["models"][0]["ok"] is False


def test_a_good_model_passes_every_group_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    x = np.arange(8, dtype=np.float32)
    data = DataSettings({"x": x, "label": x / 2 + 2}, (MetricLimit.parse("mae < 0.001"),))
    budgets = (Budget.parse("p90 < 5s"), Budget.parse("p50 < 50x"))
    shutil.copytree(PLAIN / "1", tmp_path / "plain/2")
    plan = plan_for(tmp_path / "plain/2", baseline=PLAIN / "1", data=data, load=LoadSettings(0.6, budgets=budgets))
    verification = verify(plan)
    assert [str(check) for check in verification.failed] == []
    assert verification.ok
    assert {check.group for check in verification.checks} == GROUPS.keys() - {"policy"}  # which was not asked for
    assert len(verification.evidence.load_tests) == 2
    assert {each.between for each in verification.evidence.differences} == {
        *("local and grpc", "grpc and rest", "local and rest")
    }
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]


def test_answers_that_are_not_the_recorded_ones_are_refused(tmp_path):
    plan = plan_for(damaged(tmp_path, wrong_goldens), only=("files", "load", "smoke"))
    refused(plan, "smoke.recorded", "2.5 instead of 1.0")


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("turn", range(REPEATS))
@pytest.mark.parametrize("name", BROKEN)
def test_broken_models_are_refused(name, turn, made):
    refused(plan_for(made / name), *BROKEN[name])


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("turn", range(REPEATS))
@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_models_are_refused(kind, turn, tmp_path):
    damage, identity, reason = DAMAGE[kind]
    refused(plan_for(damaged(tmp_path, damage)), identity, reason)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("turn", range(REPEATS))
@pytest.mark.parametrize("kind", ASKED)
def test_what_was_asked_for_and_is_not_there_is_refused(kind, turn, made):
    asked = ASKED[kind]
    budgets = tuple(Budget.parse(text) for text in asked.budgets)
    data = None
    if asked.metric:
        x = np.arange(8, dtype=np.float32)
        data = DataSettings({"x": x, "label": x}, (MetricLimit.parse(asked.metric),))
    plan = plan_for(
        made / asked.model,
        baseline=made / asked.baseline if asked.baseline else None,
        load=LoadSettings(1.0, budgets=budgets) if budgets else NO_LOAD,
        data=data,
        ignore=asked.ignore,
    )
    refused(plan, asked.check, asked.reason)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("turn", range(REPEATS))
@pytest.mark.parametrize(
    "name", ["half_plus_two_cpu", "half_plus_two_2_versions", "half_plus_two_tf2_cpu", "half_plus_three"]
)
def test_the_models_of_tensorflow_serving_pass(name, turn):
    verification = verify(plan_for(MODELS / f"saved_model_{name}", load=LoadSettings(0.4)))
    assert [str(check) for check in verification.failed] == []
    assert verification.ok


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("turn", range(REPEATS))
@pytest.mark.parametrize("name", GOOD)
def test_good_models_of_every_kind_pass(name, turn, made):
    verification = verify(plan_for(made / name, load=LoadSettings(0.4)))
    assert [str(check) for check in verification.failed] == []
    assert verification.ok


def test_there_are_thirty_classes_of_faults():
    from_servers = 13  # test_servers_that_answer_wrong.py
    assert len(DAMAGE) + len(BROKEN) + len(ASKED) + from_servers >= 30


@pytest.mark.parametrize(("path", "kind"), [("nowhere", UsageError), ("plain/1/saved_model.pb", UsageError)])
def test_what_is_no_model_is_a_usage_error(path, kind):
    with pytest.raises(kind):
        plan_for(PLAIN.parent / path)


def test_a_start_that_fails_is_told_of_the_version_that_its_reason_names():
    from tfs_deploy.verify.checks import Check, Checker
    from tfs_deploy.verify.groups.load import record_refusal
    from tfs_deploy.verify.subjects import Subject

    made: list[Check] = []
    subjects = [Subject("a", 1, PLAIN), Subject("b", 2, PLAIN)]
    error = LaunchError("the server did not start: {{{name: b version: 2} due to error: INTERNAL: no}, }")
    record_refusal(Checker(made.append), subjects, error, 1.5)
    assert [(check.model, check.status.value) for check in made] == [("a 1", "skipped"), ("b 2", "failed")]
    assert made[1].measured == 1.5
