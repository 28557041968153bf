# SPDX-License-Identifier: Apache-2.0
"""A verification as a verdict: written, read, and refused where it does not apply."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path

import pytest

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.rollout.adapters.version_checks import VersionChecks
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.manifest import build_manifest, signature_digest, write_manifest
from tfs_deploy.store.identity import identify
from tfs_deploy.store.verdict import read_verdict, require_verdict, write_verdict
from tfs_deploy.verify.checks import Check, CheckStatus
from tfs_deploy.verify.subjects import Subject
from tfs_deploy.verify.verification import Evidence, Verification

PLAIN = Path(__file__).parents[2] / "data/verify/plain/1"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number in (1, 2, 10):
        shutil.copytree(PLAIN, tmp_path / "shop" / str(number))
    shutil.copytree(PLAIN, tmp_path / "other/1")
    return tmp_path / "shop"


FILE = """
name: shop
server: {target: embedded}
models:
  - {name: shop, base_path: shop, versions: {specific: [1, 2]}, labels: {stable: 1, canary: 2}}
  - {name: second, base_path: other}
"""


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
    with pytest.raises(VerdictError, match=r"has changed since it was verified: fingerprint\.pb: changed"):
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


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"seconds": 2.0}, "it was changed after it was written"),
        ({"crc32c": None, "ok": "yes"}, "ok is neither true nor false"),
        ({"crc32c": None, "models": 3}, "models is not a list of objects"),
        ({"crc32c": None, "checks": [1]}, "checks is not a list of objects"),
        ({"crc32c": None, "left_out": 7}, "left_out is not a list of names"),
        ({"crc32c": None, "first_failed": [1]}, "first_failed is not an object"),
        ({"crc32c": None, "ok": True}, r"it says yes, and that smoke\.1 failed"),
        ({"crc32c": None, "ok": True, "checks": []}, "it says yes, and that shop 1 failed"),
    ],
)
def test_a_verdict_that_was_changed_or_contradicts_itself_is_refused(base, tmp_path, change, problem):
    path = written(verification(base / "1", CheckStatus.PASSED, CheckStatus.FAILED), tmp_path)
    document = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not None}))
    with pytest.raises(UsageError, match=f"is not a valid verdict: {problem}"):
        require_verdict(path, base / "1")


def test_a_verdict_damaged_anywhere_is_refused_with_a_sentence(base, tmp_path):
    path = written(verification(base / "1", CheckStatus.PASSED), tmp_path)
    whole = path.read_bytes()
    document = read_verdict(path)
    draw = random.Random(3)
    for _ in range(500):
        damaged = bytearray(whole[: draw.randrange(len(whole))]) if draw.random() < 0.3 else bytearray(whole)
        if len(damaged) == len(whole):
            damaged[draw.randrange(len(whole))] ^= draw.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            found = read_verdict(path)
        except UsageError:
            continue
        # white space, or the name of the checksum itself: what the verdict says is intact
        assert {key: found.get(key) for key in document if key != "crc32c"} == {
            key: value for key, value in document.items() if key != "crc32c"
        }


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


def test_the_guide_names_every_key_of_a_verdict(base):
    document = verification(base / "1", CheckStatus.FAILED).as_dict()
    page = (Path(__file__).parents[3] / "docs/ci.md").read_text()
    paragraph = page[page.index("Its keys:") :].partition("\n\n")[0]
    parts = [document, document["models"][0], document["checks"][0], document["first_failed"]]
    assert {key for part in parts for key in part} <= set(re.findall(r"`(\w+)`", paragraph))
    assert document["schema_version"] == 1


def test_a_verdict_of_another_schema_is_not_read(base, tmp_path):
    document = verification(base / "1", CheckStatus.PASSED).as_dict()
    path = write_verdict({**document, "schema_version": 2}, tmp_path / "report")
    with pytest.raises(UsageError, match="has the schema version 2, but this release reads only 1"):
        read_verdict(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {}}, "models is not a list of objects"),
        ({"checks": [1]}, "checks is not a list of objects"),
        ({"first_failed": 1}, "first_failed is not an object"),
        ({"left_out": None}, "left_out is not a list of names"),
        ({"left_out": [1]}, "left_out is not a list of names"),
        ({"ok": 1}, "ok is neither true nor false"),
        ({"models": [{"name": "shop", "version": 1, "ok": False}]}, "it says yes, and that shop 1 failed"),
        ({"checks": [{"id": "smoke.0", "status": "failed"}]}, "it says yes, and that smoke.0 failed"),
    ],
)
def test_a_verdict_that_contradicts_itself_is_not_read(base, tmp_path, change, message):
    document = {**verification(base / "1", CheckStatus.PASSED).as_dict(), **change}
    with pytest.raises(UsageError, match=message):
        read_verdict(write_verdict(document, tmp_path / "report"))


@pytest.mark.parametrize("group", ["files", "load", "smoke"])
def test_each_essential_group_has_to_be_there(base, tmp_path, group):
    path = written(verification(base / "1", CheckStatus.PASSED, excluded_checks=(group,)), tmp_path)
    with pytest.raises(VerdictError, match=f"left out the group '{group}'"):
        require_verdict(path, base / "1")
    path = written(verification(base / "1", CheckStatus.PASSED, excluded_checks=("bench",)), tmp_path)
    assert require_verdict(path, base / "1")


def test_the_answer_about_these_files_is_the_one_that_counts(base, tmp_path):
    document = verification(base / "1", CheckStatus.PASSED).as_dict()
    other = {**document["models"][0], "name": "other", "digest": "another"}
    for ok, answer in ((False, False), (True, "yes")):
        ours = {**document["models"][0], "ok": answer}
        path = write_verdict({**document, "ok": ok, "models": [other, ours]}, tmp_path / "report")
        with pytest.raises(VerdictError, match="says no"):
            require_verdict(path, base / "1")
    path = write_verdict({**document, "models": [other]}, tmp_path / "report")
    with pytest.raises(VerdictError, match=r"is about other files \(other 1\)"):
        require_verdict(path, base / "1")


@pytest.mark.parametrize("text", ["[]", "{}", '{"kind": "other", "schema_version": 1}'])
def test_other_documents_are_not_verdicts(tmp_path, text):
    (tmp_path / "verdict.json").write_text(text)
    with pytest.raises(UsageError, match=r"verdict\.json is not a verdict") as caught:
        read_verdict(tmp_path)
    assert "tfs-deploy verify MODEL_DIR --report DIR" in caught.value.hint
