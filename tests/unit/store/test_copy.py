# SPDX-License-Identifier: Apache-2.0
"""A version that exists is published as a copy: whole or not at all, as its manifest says, from any kind of store."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tfs_deploy.errors import EnvironmentFault, ModelError, SpecError, UsageError, VerdictError
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.manifest import build_manifest, signature_digest, verify_manifest, write_manifest
from tfs_deploy.store import tree as tree_module
from tfs_deploy.store.copy import publish_version

PLAIN = Path(__file__).parents[2] / "data/verify/plain/1"


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A version with a manifest."""
    folder = tmp_path / "staged/plain/1"
    shutil.copytree(PLAIN, folder)
    write_manifest(folder, build_manifest(folder, signature_digest=signature_digest(inspect_model(folder).signatures)))
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_copy_is_the_next_version_and_the_source_stays(staged, tmp_path):
    base = tmp_path / "models/plain"
    first = publish_version(staged, base)
    second = publish_version(staged.parent, base)  # a base path stands for its newest version
    assert (first.version, second.version, second.path) == (1, 2, base / "2")
    assert verify_manifest(second.path) == []
    assert second.manifest is not None
    assert second.manifest.digest == inspect_model(staged).manifest.digest
    assert (first.same_as, second.same_as) == ((), (1,)), "the same files twice are told"
    assert second.bytes == sum(path.stat().st_size for path in staged.rglob("*") if path.is_file())
    assert names(base) == ["1", "2"]
    assert verify_manifest(staged) == []
    assert not any(a.samefile(base / "1" / a.relative_to(staged)) for a in staged.rglob("*.pb"))


def test_number_and_retention_are_those_of_export(staged, tmp_path):
    base = tmp_path / "models/plain"
    assert publish_version(staged, base, version=7).version == 7
    with pytest.raises(UsageError, match="version 7 already exists"):
        publish_version(staged, base, version=7)
    assert publish_version(staged, base, version="timestamp").version > 1_600_000_000
    assert publish_version(staged, base, keep=1, deployments=[]).pruned[0] == 7
    assert len(names(base)) == 1
    with pytest.raises(UsageError, match="number of versions"):
        publish_version(staged, base, keep=0)


def damage(staged: Path) -> None:
    (staged / "fingerprint.pb").write_bytes(b"other")


def add(staged: Path) -> None:
    (staged / "notes.txt").write_text("added")


def lose(staged: Path) -> None:
    (staged / "variables/variables.index").unlink()


def no_graph(staged: Path) -> None:
    (staged / "saved_model.pb").unlink()


def dangle(staged: Path) -> None:
    (staged / "link").symlink_to("nowhere")


def pipe(staged: Path) -> None:
    os.mkfifo(staged / "pipe")


def lead_out(staged: Path) -> None:
    (staged / "assets").mkdir(exist_ok=True)
    (staged / "assets/vocabulary.txt").symlink_to("/etc/passwd")


def lead_out_whole(staged: Path) -> None:
    (staged / "extra").symlink_to("..")


def lead_in_by_many_ways(staged: Path) -> None:
    for name in ("a", "b"):
        (staged / name).symlink_to(".")


def loop(staged: Path) -> None:
    (staged / "loop").symlink_to("loop")


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (damage, VerdictError, "has changed since the export: fingerprint.pb: changed"),
        (add, VerdictError, "notes.txt: unlisted"),
        (lose, ModelError, "variables.index"),
        (no_graph, ModelError, "saved_model.pb"),
        (dangle, UsageError, "link is not a regular file"),
        (pipe, UsageError, "pipe is not a regular file"),
        (loop, UsageError, "loop is not a regular file"),
        (lead_out, UsageError, "vocabulary.txt is a link that leads out of .*, to /etc/passwd"),
        (lead_out_whole, UsageError, "extra is a link that leads out of"),
        (lead_in_by_many_ways, UsageError, "a/a is a link to a directory below another such link"),
    ],
)
def test_what_is_not_as_exported_is_not_published_and_nothing_is_left(staged, tmp_path, change, kind, message):
    change(staged)
    with pytest.raises(kind, match=message):
        publish_version(staged, tmp_path / "models/plain")
    assert not (tmp_path / "models").exists()


def test_a_check_sees_the_copy_before_anybody_else_does(staged, tmp_path):
    base = tmp_path / "models/plain"
    seen = []

    def check(copy: Path) -> None:
        seen.append((copy.parent, sorted(path.relative_to(copy) for path in copy.rglob("*"))))
        assert [name for name in names(base) if name.isdecimal()] == []
        raise VerdictError("no")

    with pytest.raises(VerdictError, match="no"):
        publish_version(staged, base, check=check)
    assert seen == [(base, sorted(path.relative_to(staged) for path in staged.rglob("*")))]
    assert not base.exists()


def test_a_store_that_is_read_only_or_has_links_inside_is_copied_as_plain_files(staged, tmp_path):
    (staged / "fingerprint.pb").rename(staged / "variables/print")
    (staged / "fingerprint.pb").symlink_to("variables/print")
    write_manifest(staged, build_manifest(staged, signature_digest=signature_digest(inspect_model(staged).signatures)))
    store = tmp_path / "store"
    store.symlink_to(staged)
    for path in [*staged.rglob("*"), staged]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    version = publish_version(store, tmp_path / "models/plain").path
    assert verify_manifest(version) == []
    assert not any(path.is_symlink() for path in version.rglob("*"))
    assert all(path.stat().st_mode & 0o200 for path in version.rglob("*"))


@pytest.mark.parametrize(("number", "message"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "cannot be written")])
def test_a_disk_that_takes_no_more_is_named_and_nothing_is_left(staged, tmp_path, monkeypatch, number, message):
    def copy(source, target):
        raise OSError(number, os.strerror(number), str(target))

    monkeypatch.setattr(tree_module.shutil, "copyfile", copy)
    with pytest.raises(EnvironmentFault, match=message):
        publish_version(staged, tmp_path / "models/plain")
    assert not (tmp_path / "models").exists()


def test_a_file_that_cannot_be_read_is_not_blamed_on_the_target(staged, tmp_path, monkeypatch):
    open_it = Path.open

    def refuse(path: Path, *arguments, **options):
        if path.name == "fingerprint.pb":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_it(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(EnvironmentFault, match=r"fingerprint\.pb cannot be read: Permission denied"):
        publish_version(staged, tmp_path / "models/plain")
    assert not (tmp_path / "models").exists()


def test_a_deployment_file_with_mistakes_is_said_before_anything_is_published(staged, tmp_path):
    base = tmp_path / "served"
    base.mkdir()
    file = tmp_path / "d.yaml"
    file.write_text("name: d\nmodels: [{name: m, base_path: served, labels: {stable: 1}}]\n")
    with pytest.raises(SpecError, match="newer versions on disk unload what labels point at"):
        publish_version(staged, base, deployments=[file])
    assert list(base.iterdir()) == []


def test_a_version_is_not_published_into_itself(staged):
    with pytest.raises(UsageError, match="is inside"):
        publish_version(staged, staged / "models")
    assert "models" not in names(staged)


def test_many_publishers_get_numbers_of_their_own(staged, tmp_path):
    base = tmp_path / "models/plain"
    with ThreadPoolExecutor(8) as pool:
        numbers = sorted(pool.map(lambda _: publish_version(staged, base).version, range(16)))
    assert numbers == list(range(1, 17))
    assert all(verify_manifest(base / str(number)) == [] for number in numbers)


def test_it_needs_no_tensorflow(staged, tmp_path):
    code = (
        "import sys; sys.modules['tensorflow'] = None; from tfs_deploy.cli.main import run\n"
        f"sys.exit(run(['publish', {str(staged)!r}, '--to', {str(tmp_path / 'models')!r}, '--quiet']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert names(tmp_path / "models") == ["1"]
