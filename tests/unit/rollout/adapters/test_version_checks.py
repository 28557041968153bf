# SPDX-License-Identifier: Apache-2.0
"""Preflight on real files: what keeps a version from being loaded at all, and what allows it all the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfs_deploy import codec, protos
from tfs_deploy.deployment import Deployment, Docker, Model, Server, VersionPolicy
from tfs_deploy.rollout.adapters.version_checks import VersionChecks
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.manifest import build_manifest, signature_digest, write_manifest
from tfs_deploy.savedmodel.warmup import write_warmup

X = np.array([1.0, 2.0], np.float32)
REQUEST = protos.PredictRequest.FromString(codec.encode_predict_request("zoo", {"x": X}))


@pytest.fixture
def base(tmp_path: Path, models: Path) -> Path:
    """Two versions of the zoo that have all that is asked for: manifest, recorded answers, warmup requests."""
    for version, offset in ((1, 2.0), (2, 3.0)):
        folder = tmp_path / "zoo" / str(version)
        shutil.copytree(models / "zoo" / str(version), folder)
        write_goldens(folder, [Golden("serving_default", {"x": X}, {"y": X / 2 + np.float32(offset)})])
        write_warmup(folder, [REQUEST])
        seal(folder)
    return tmp_path / "zoo"


def seal(folder: Path) -> None:
    write_manifest(folder, build_manifest(folder, signature_digest=signature_digest(inspect_model(folder).signatures)))


def preflight(base: Path, room: int | None = 1 << 40, server: Server | None = None, **options):
    model = Model("zoo", base, VersionPolicy.specific([1]))
    deployment = Deployment("zoo", base / "zoo.yaml", base / "state", (model,), server=server or Server())
    checks = VersionChecks(deployment, "zoo", base, {}, room=lambda: room)
    return checks.preflight(RolloutPlan("zoo", 1, 2, **options))


def test_a_version_that_has_everything_passes(base):
    result = preflight(base)

    assert (result.ok, result.reason) == (True, "")
    assert [note for note in result.notes if "no label" not in note and "neither label" not in note] == []


def damage(folder: Path) -> None:
    file = next(folder.glob("variables/*data*"))
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(bytes(data))


def lose_goldens(folder: Path) -> None:
    shutil.rmtree(folder / "assets.extra" / "goldens")
    seal(folder)


def lose_warmup(folder: Path) -> None:
    (folder / "assets.extra" / "tf_serving_warmup_requests").unlink()
    seal(folder)


def lose_an_output(folder: Path) -> None:
    change(folder, lambda found: found.signature_def["serving_default"].outputs["y"].Clear())


def rename_an_output(folder: Path) -> None:
    def rename(found) -> None:
        outputs = found.signature_def["serving_default"].outputs
        outputs["z"].CopyFrom(outputs["y"])
        del outputs["y"]

    change(folder, rename)


def change(folder: Path, edit: Callable) -> None:
    file = folder / "saved_model.pb"
    model = protos.SavedModel.FromString(file.read_bytes())
    edit(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())
    seal(folder)


@pytest.mark.parametrize(
    ("spoil", "reason", "allowed"),
    [
        (lose_goldens, "version 2 has no recorded answers", {"allow_missing_goldens": True}),
        (lose_warmup, "version 2 has no warmup requests, so its first answers are slow; version 1 has some", None),
        (lose_warmup, "version 2 has no warmup requests", {"allow_missing_warmup": True}),
        (rename_an_output, "version 2 breaks callers of version 1: serving_default output 'y'", None),
        (rename_an_output, "version 2 breaks callers of version 1", {"allow_breaking": True}),
        (lose_an_output, "lint of version 2: ", {"ignore_lint": True, "allow_breaking": True}),
    ],
)
def test_what_stops_a_version_before_anything_is_touched(base, spoil, reason, allowed):
    spoil(base / "2")

    refused = preflight(base)

    assert refused.ok is False
    assert refused.reason.startswith(reason)
    assert "\n" not in refused.reason
    if allowed:
        result = preflight(base, **allowed)
        assert result.ok, result.reason
        assert any(reason.split(":")[0] in note for note in result.notes)


def test_all_reasons_are_told_at_once_with_what_allows_each(base):
    lose_goldens(base / "2")
    lose_warmup(base / "2")
    rename_an_output(base / "2")

    refused = preflight(base, room=10)

    flags = ("--allow-breaking", "--allow-missing-goldens", "--allow-missing-warmup", "--ignore-memory")
    assert refused.allowed_by == flags
    assert len(refused.refusals) == len(flags)
    for text, flag in zip(refused.refusals, flags, strict=True):
        assert text.endswith((f"(allow it: {flag})", f"(continue anyway: {flag})"))
    assert refused.reason == "; ".join(refused.refusals)
    allowed = {flag[2:].replace("-", "_"): True for flag in flags}
    assert preflight(base, room=10, **allowed).refusals == ()


def test_what_cannot_be_allowed_is_told_beside_what_can(base, tmp_path):
    lose_goldens(base / "2")

    refused = preflight(base, verdict=str(tmp_path / "verdict.json"))

    assert len(refused.refusals) == 2
    assert "verdict.json" in refused.refusals[0]
    assert refused.refusals[1].startswith("version 2 has no recorded answers to compare with (allow it")
    assert refused.allowed_by == ()


def test_a_lint_finding_that_the_serving_version_has_as_well_is_a_note(base):
    lose_an_output(base / "2")
    alone = preflight(base, allow_breaking=True)
    assert alone.refusals[0].startswith("lint of version 2: ")

    lose_an_output(base / "1")
    both = preflight(base, allow_breaking=True)

    assert both.ok, both.reason
    (note,) = (note for note in both.notes if note.startswith("lint of version 2: "))
    assert note.endswith("; version 1, which serves, has it too")


def test_a_version_that_is_still_in_the_store_is_not_judged(base):
    shutil.rmtree(base / "2")

    result = preflight(base, pull_from="s3://models/zoo")

    assert result.ok
    assert result.notes == ("version 2 is only in the store: its files are judged once it is pulled",)
    assert not preflight(base).ok


def test_a_version_whose_files_are_not_what_was_exported_is_never_allowed(base):
    damage(base / "2")

    lenient = dict.fromkeys(("allow_missing_goldens", "allow_missing_warmup", "ignore_memory", "ignore_lint"), True)
    result = preflight(base, **lenient, allow_breaking=True)

    assert result.ok is False
    assert result.reason.startswith("version 2 has changed since the export: ")


def test_a_version_behind_a_link_that_the_container_does_not_see_is_never_loaded(base):
    in_docker = Server(target="docker", docker=Docker(image="tensorflow/serving:2.20.0"))
    (base / "2").rename(base.parent / "build-7")
    (base / "2").symlink_to("../build-7")

    refused = preflight(base, server=in_docker)

    assert not refused.ok
    assert refused.reason.startswith(f"{base / '2'} is a symbolic link to ../build-7, which the container does not see")
    assert preflight(base).ok  # a server of this machine follows it


def test_both_versions_have_to_fit_into_memory(base):
    refused = preflight(base, room=10)
    assert refused.reason.startswith("version 2 needs about ")
    assert refused.reason.endswith("(continue anyway: --ignore-memory)")
    assert preflight(base, room=10, ignore_memory=True).ok
    assert preflight(base, room=None).ok


def test_the_memory_of_servers_elsewhere_is_not_known_and_that_is_said(base):
    result = preflight(base, room=None, replicas=("elsewhere:8500",))

    assert result.ok
    assert any(note.endswith(" on each server, whose memory is not known") for note in result.notes)


def test_versions_that_leave_by_the_way_are_told(base):
    assert "versions 4, 7, which have no label, are unloaded" in preflight(base, leaving=(4, 7)).notes


@pytest.mark.parametrize(
    ("plan", "warned"),
    [({}, True), ({"others": {"exp": 3}}, False), ({"others": {"exp": 1}}, True), ({"steps": ()}, False)],
)
def test_requests_without_a_label_are_warned_of_where_the_new_version_would_get_them(base, plan, warned):
    notes = preflight(base, **plan).notes
    assert (
        any(note.startswith("requests that name neither label nor version reach version 2") for note in notes) == warned
    )
