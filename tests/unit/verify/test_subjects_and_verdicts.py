"""Which versions a path means, where a server finds them, and what a verdict is worth later."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.rollout.adapters.version_checks import VersionChecks
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.manifest import build_manifest, signature_digest, write_manifest
from tfs_deploy.state.active import write_active
from tfs_deploy.store.identity import identify
from tfs_deploy.store.verdict import read_verdict, require_verdict, write_verdict
from tfs_deploy.verify.checks import Check, CheckStatus
from tfs_deploy.verify.serving import verification_targets
from tfs_deploy.verify.staging import staged_models
from tfs_deploy.verify.subjects import Subject, subjects_of_deployment, subjects_of_directory
from tfs_deploy.verify.verification import Evidence, Verification

PLAIN = Path(__file__).parents[2] / "data/verify/plain/1"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number in (1, 2, 10):
        shutil.copytree(PLAIN, tmp_path / "shop" / str(number))
    shutil.copytree(PLAIN, tmp_path / "other/1")
    return tmp_path / "shop"


def test_a_base_path_means_its_newest_version(base):
    (subject,) = subjects_of_directory(base)
    assert (subject.name, subject.version, subject.path) == ("shop", 10, base / "10")
    (subject,) = subjects_of_directory(base / "2", name="other", baseline="1")
    assert (str(subject), subject.baseline) == ("other 2", base / "1")


def test_a_directory_without_number_is_served_as_version_1(base, tmp_path):
    shutil.copytree(PLAIN, tmp_path / "out")
    (subject,) = subjects_of_directory(tmp_path / "out", baseline=str(base))
    assert (str(subject), subject.baseline) == ("out 1", base / "10")
    (model,) = staged_models([subject], tmp_path / "work", with_baseline=False)
    assert (model.base_path / "1/saved_model.pb").samefile(tmp_path / "out/saved_model.pb")


def test_zero_is_a_number(tmp_path):
    shutil.copytree(PLAIN, tmp_path / "shop/0")
    assert str(subjects_of_directory(tmp_path / "shop")[0]) == "shop 0"


def test_numbered_versions_are_served_from_where_they_lie(base, tmp_path):
    subjects = [Subject("shop", 2, base / "2", ("stable",)), Subject("shop", 10, base / "10", baseline=base / "1")]
    (model,) = staged_models(subjects, tmp_path / "work", with_baseline=False)
    assert (model.base_path, model.version_policy.versions, model.labels) == (base, (2, 10), {"stable": 2})
    _, baseline = staged_models(subjects, tmp_path / "work", with_baseline=True)
    assert baseline.name == "shop.baseline"
    assert (baseline.base_path / "1/saved_model.pb").is_file()


def test_a_version_that_lost_its_graph_is_still_the_one_that_is_meant(base):
    (base / "10/saved_model.pb").unlink()
    assert subjects_of_directory(base / "10")[0].version == 10


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("nowhere", {}, "does not exist"),
        ("shop/1/saved_model.pb", {}, "is a file"),
        ("shop/1/variables", {}, "no version directory"),
        ("shop", {"name": "a/b"}, "not a valid model name"),
        ("shop", {"baseline": "7"}, "has no version 7"),
        ("shop", {"baseline": "nowhere"}, "not a directory"),
    ],
)
def test_what_is_no_version_is_a_usage_error(base, path, options, message):
    with pytest.raises(UsageError, match=message):
        subjects_of_directory(base.parent / path, **options)


FILE = """
name: shop
server: {target: embedded}
models:
  - {name: shop, base_path: shop, versions: {specific: [1, 2]}, labels: {stable: 1, canary: 2}}
  - {name: second, base_path: other}
"""


def test_a_deployment_file_means_every_version_that_it_serves(base):
    path = base.parent / "shop.yaml"
    path.write_text(FILE)
    deployment = load_deployment(path)
    subjects = subjects_of_deployment(deployment)
    assert [(str(each), each.labels) for each in subjects] == [
        *(("shop 1", ("stable",)), ("shop 2", ("canary",)), ("second 1", ()))
    ]
    with_baseline = subjects_of_deployment(deployment, name="shop", baseline="1")
    assert [(str(each), each.baseline) for each in with_baseline] == [("shop 2", base / "1")]
    with pytest.raises(UsageError, match="belongs to one model"):
        subjects_of_deployment(deployment, baseline="1")
    with pytest.raises(UsageError, match="no model 'shp'"):
        subjects_of_deployment(deployment, name="shp")


def test_a_version_that_a_file_names_and_that_is_not_there_is_one_to_verify(base):
    shutil.rmtree(base / "2")
    path = base.parent / "shop.yaml"
    path.write_text(FILE)
    assert "shop 2" in [str(each) for each in subjects_of_deployment(load_deployment(path))]


@pytest.mark.parametrize(
    ("target", "images", "names"),
    [
        (None, (), ["embedded"]),
        (None, ("a:1", "b:2"), ["docker a:1", "docker b:2"]),
        ("docker", (), ["docker tensorflow/serving:2.19.1"]),
        ("localhost:8500/8501", (), ["localhost:8500/8501"]),
    ],
)
def test_targets(target, images, names):
    assert [each.name for each in verification_targets(target, images, None)] == names


def test_an_address_has_a_rest_port_or_none():
    assert verification_targets("h:1/2", (), None)[0].rest == "h:2"
    assert verification_targets("h:1", (), None)[0].rest is None
    for wrong in ("kubernetes", "h:", "h:1/x"):
        with pytest.raises(UsageError, match="unknown target: "):
            verification_targets(wrong, (), None)
    with pytest.raises(UsageError, match="--image needs the target docker"):
        verification_targets("embedded", ("a:1",), None)


def verification(path: Path, *statuses: CheckStatus, excluded_checks: tuple[str, ...] = ()) -> Verification:
    subject = Subject("shop", 1, path)
    checks = tuple(Check(f"smoke.{n}", "shop 1", "", "embedded", status, "why") for n, status in enumerate(statuses))
    return Verification(
        *(
            (subject,),
            (identify(path),),
            ("embedded",),
            checks,
            Evidence(),
            "2026-01-01T00:00:00+00:00",
            1.0,
            excluded_checks,
        )
    )


def written(found: Verification, folder: Path) -> Path:
    return write_verdict(found.as_dict(), folder / "report")


def test_a_yes_to_these_files_is_worth_a_yes(base, tmp_path):
    path = written(verification(base / "1", CheckStatus.PASSED, CheckStatus.SKIPPED), tmp_path)
    assert "2 checks, none failed" in require_verdict(path, base / "1")
    # the folder of the report, and a copy of the same files, are as good
    assert require_verdict(path.parent, base / "2")


@pytest.mark.parametrize(
    ("statuses", "excluded_checks", "message"),
    [
        ((CheckStatus.PASSED, CheckStatus.FAILED), (), "says no: smoke.1: why"),
        ((CheckStatus.SKIPPED,), (), "says no"),
        ((), (), "says no"),
        ((CheckStatus.PASSED,), ("files",), "left out the group 'files'"),
    ],
)
def test_anything_but_a_yes_is_refused(base, tmp_path, statuses, excluded_checks, message):
    path = written(verification(base / "1", *statuses, excluded_checks=excluded_checks), tmp_path)
    with pytest.raises(VerdictError, match=message):
        require_verdict(path, base / "1")


def test_a_verdict_about_other_files_is_refused(base, tmp_path):
    path = written(verification(base / "1", CheckStatus.PASSED), tmp_path)
    (base / "1/assets.extra").mkdir()
    (base / "1/assets.extra/more").write_text("more")
    with pytest.raises(VerdictError, match="about other files"):
        require_verdict(path, base / "1")


def test_a_manifest_is_what_a_verdict_is_bound_to_and_files_must_still_match_it(base, tmp_path):
    version = base / "1"
    digest = signature_digest(inspect_model(version).signatures)
    write_manifest(version, build_manifest(version, signature_digest=digest))
    assert identify(version).of == "manifest"
    path = written(verification(version, CheckStatus.PASSED), tmp_path)
    assert require_verdict(path, version)
    (version / "fingerprint.pb").write_bytes(b"other")
    with pytest.raises(VerdictError, match=r"is not what was verified: fingerprint\.pb: changed"):
        require_verdict(path, version)


@pytest.mark.parametrize("change", [{"kind": "other"}, {"schema_version": 99}])
def test_what_is_no_verdict_is_a_usage_error(base, tmp_path, change):
    path = written(verification(base / "1", CheckStatus.PASSED), tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError):
        read_verdict(path)
    path.write_text("[")
    with pytest.raises(UsageError, match="is not a valid verdict"):
        read_verdict(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_verdict(tmp_path / "nowhere")


def test_a_rollout_asks_for_the_verdict_before_it_loads_anything(base, tmp_path):
    file = base.parent / "shop.yaml"
    file.write_text(FILE)
    checks = VersionChecks(load_deployment(file), "shop", base, {})
    no = written(verification(base / "2", CheckStatus.FAILED), tmp_path)
    plan = RolloutPlan(
        "shop", 1, 2, allow_missing_goldens=True, allow_missing_warmup=True, ignore_memory=True, verdict=str(no)
    )
    refused = checks.preflight(plan)
    assert (refused.ok, "says no" in refused.reason) == (False, True)
    written(verification(base / "2", CheckStatus.PASSED), tmp_path)
    allowed = checks.preflight(plan)
    assert allowed.ok, allowed.reason
    assert any("verified at" in note for note in allowed.notes)
    missing = checks.preflight(RolloutPlan("shop", 1, 2, allow_missing_goldens=True, verdict=str(tmp_path / "nowhere")))
    assert (missing.ok, "cannot be read" in missing.reason) == (False, True)


def test_labels_are_those_that_a_rollout_moved(base):
    path = base.parent / "shop.yaml"
    path.write_text(FILE)
    deployment = load_deployment(path)
    moved = ActiveModel.of(deployment.model("shop"), (2,), {"stable": 2})
    write_active(deployment.state_dir, {"shop": moved})
    subjects = subjects_of_deployment(deployment, name="shop")
    assert [(str(each), each.labels) for each in subjects] == [("shop 2", ("stable",))]


def test_the_guide_names_every_key_of_a_verdict(base):
    document = verification(base / "1", CheckStatus.FAILED).as_dict()
    page = (Path(__file__).parents[3] / "docs/ci.md").read_text()
    paragraph = page[page.index("Its keys:") :].partition("\n\n")[0]
    parts = [document, document["models"][0], document["checks"][0], document["first_failed"]]
    assert {key for part in parts for key in part} <= set(re.findall(r"`(\w+)`", paragraph))
    assert document["schema_version"] == 1
