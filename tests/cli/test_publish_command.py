# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy publish``: what a verdict says yes to, and nothing else; exit codes, the last line, JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tfs_deploy.cli.main import run
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.manifest import build_manifest, signature_digest, write_manifest
from tfs_deploy.store.identity import identify
from tfs_deploy.store.verdict import write_verdict
from tfs_deploy.verify.checks import Check, CheckStatus
from tfs_deploy.verify.subjects import Subject
from tfs_deploy.verify.verification import Evidence, Verification

PLAIN = Path(__file__).parents[1] / "data/verify/plain/1"


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    folder = tmp_path / "staged/plain/1"
    shutil.copytree(PLAIN, folder)
    return folder


def with_manifest(folder: Path, **metadata: str) -> None:
    digest = signature_digest(inspect_model(folder).signatures)
    write_manifest(folder, build_manifest(folder, signature_digest=digest, metadata=metadata))


def verdict(
    folder: Path, report: Path, status: CheckStatus = CheckStatus.PASSED, excluded_checks: tuple[str, ...] = ()
) -> Path:
    """Write the verdict that a verification with one check would leave."""
    check = Check("smoke.recorded", "plain 1", "serving_default", "embedded", status, "4 instead of 3")
    subjects = (Subject("plain", 1, folder),)
    found = Verification(
        *(subjects, (identify(folder),), ("embedded",), (check,), Evidence(), "2026-01-01", 1.0, excluded_checks)
    )
    return write_verdict(found.as_dict(), report)


def publish(*words: str | Path) -> int:
    return run(["publish", *map(str, words)])


def test_a_yes_to_exactly_these_files_is_published(staged, tmp_path, capsys):
    with_manifest(staged)
    path = verdict(staged, tmp_path / "report")
    assert publish(staged.parent, "--to", tmp_path / "plain", "--require-verdict", path, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["version"], document["path"]) == (1, str(tmp_path / "plain/1"))
    assert document["digest"] == identify(tmp_path / "plain/1").digest
    assert document["verdict"] == "verified at 2026-01-01: 1 check, none failed"
    # the verdict says yes to the copy as well: a rollout may ask for it again; the folder of the report will do
    assert publish(tmp_path / "plain/1", "--to", tmp_path / "plain", "--require-verdict", path.parent) == 0
    assert capsys.readouterr().out.splitlines()[1] == "  verified at 2026-01-01: 1 check, none failed"


def test_files_without_a_manifest_are_bound_to_the_verdict_by_their_sums(staged, tmp_path, capsys):
    path = verdict(staged, tmp_path / "report")
    assert publish(staged, "--to", tmp_path / "plain", "--require-verdict", path) == 0
    (staged / "assets.extra/more").parent.mkdir(exist_ok=True)
    (staged / "assets.extra/more").write_text("more")
    assert publish(staged, "--to", tmp_path / "plain", "--require-verdict", path) == 1
    assert "is about other files (plain 1)" in capsys.readouterr().err
    assert publish(staged, "--to", tmp_path / "plain") == 0
    assert "without a manifest" in capsys.readouterr().out


def says_no(staged: Path, report: Path) -> Path:
    with_manifest(staged)
    return verdict(staged, report, CheckStatus.FAILED)


def proved_nothing(staged: Path, report: Path) -> Path:
    with_manifest(staged)
    return verdict(staged, report, CheckStatus.SKIPPED)


def left_out_the_answers(staged: Path, report: Path) -> Path:
    with_manifest(staged)
    return verdict(staged, report, excluded_checks=("smoke",))


def of_another_export(staged: Path, report: Path) -> Path:
    with_manifest(staged, commit="before")
    path = verdict(staged, report)
    with_manifest(staged, commit="after")
    return path


def changed_since(staged: Path, report: Path) -> Path:
    with_manifest(staged)
    path = verdict(staged, report)
    (staged / "fingerprint.pb").write_bytes(b"other")
    return path


def none_there(staged: Path, report: Path) -> Path:
    with_manifest(staged)
    return report / "verdict.json"


def no_verdict(staged: Path, report: Path) -> Path:
    with_manifest(staged)
    report.mkdir()
    (report / "verdict.json").write_text('{"ok": true}')
    return report


def of_a_later_release(staged: Path, report: Path) -> Path:
    with_manifest(staged)
    path = verdict(staged, report)
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    return path


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (says_no, 1, "says no: smoke.recorded: 4 instead of 3"),
        (proved_nothing, 1, "says no"),
        (left_out_the_answers, 1, "left out the group 'smoke'"),
        (of_another_export, 1, "is about other files (plain 1)"),
        (changed_since, 1, "has changed since the export: fingerprint.pb: changed"),
        (none_there, 2, "cannot be read"),
        (no_verdict, 2, "is not a verdict"),
        (of_a_later_release, 2, "schema version 2"),
    ],
)
def test_anything_but_a_yes_to_these_files_publishes_nothing(staged, tmp_path, capsys, make, code, message):
    path = make(staged, tmp_path / "report")
    assert publish(staged, "--to", tmp_path / "models/plain", "--require-verdict", path, "--json") == code
    written = capsys.readouterr()
    assert message in written.err
    assert json.loads(written.out)["error"]["exit_code"] == code
    assert not (tmp_path / "models").exists()


def test_a_version_that_changes_while_it_is_copied_is_not_published(staged, tmp_path, capsys, monkeypatch):
    path = verdict(staged, tmp_path / "report")
    copy = shutil.copyfile

    def bent(source, target):
        copy(source, target)
        Path(target).write_bytes(b"bent")

    monkeypatch.setattr("tfs_deploy.store.tree.shutil.copyfile", bent)
    assert publish(staged, "--to", tmp_path / "models/plain", "--require-verdict", path) == 1
    assert "changed while it was copied" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere", "--to", "models"], 2, "nowhere does not exist"),
        (["staged", "--to", "models/7"], 2, "a server would take for a version"),
        (["staged", "--to", "models", "--version", "x"], 2, "not a valid --version"),
        (["staged"], 2, "Missing option '--to'"),
        (["staged", "--to", "models", "--keep", "0"], 2, "--keep"),
        (["staged", "--to", "models", "--keep", "1", "--deployment", "gone.yaml"], 2, "gone.yaml"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said_before_anything_is_done(
    staged, tmp_path, capsys, monkeypatch, words, code, message
):
    monkeypatch.chdir(tmp_path)
    assert publish(*[str(staged) if word == "staged" else word for word in words]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "models").exists()
