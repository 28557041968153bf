# SPDX-License-Identifier: Apache-2.0
"""Publishing: numbers, concurrency, leftovers, full and read-only disks. None of it imports TensorFlow."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.savedmodel.manifest import build_manifest, verify_manifest, write_manifest
from tfs_deploy.savedmodel.versions import list_versions
from tfs_deploy.store import owner, publish, rename


def fill(folder: Path, size: int = 1000) -> None:
    (folder / "variables").mkdir()
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(os.urandom(size))
    (folder / "saved_model.pb").write_bytes(b"x" * 10)
    write_manifest(folder, build_manifest(folder, signature_digest=""))


def publish_one(base: Path, version: int | str | None = None) -> int:
    with publish.stage(base) as staged:
        fill(staged.path)
        return staged.publish(version).number


def names(base: Path) -> list[str]:
    return sorted(path.name for path in base.iterdir())


def test_numbers_follow_the_highest(tmp_path):
    base = tmp_path / "digits"
    assert [publish_one(base) for _ in range(2)] == [1, 2]
    assert publish_one(base, 40) == 40
    assert publish_one(base, 7) == 7
    assert publish_one(base) == 41
    assert names(base) == ["1", "2", "40", "41", "7"]


def test_a_padded_number_and_a_plain_file_count(tmp_path):
    (tmp_path / "00000123").mkdir()
    assert publish_one(tmp_path) == 124
    (tmp_path / "200").write_text("")
    assert publish_one(tmp_path) == 201
    for taken in (123, 200):
        with pytest.raises(UsageError, match=f"version {taken} already exists"):
            publish_one(tmp_path, taken)


def test_timestamps(tmp_path, monkeypatch):
    monkeypatch.setattr(publish.time, "time", lambda: 1_700_000_000.9)
    assert [publish_one(tmp_path, "timestamp") for _ in range(3)] == [1_700_000_000, 1_700_000_001, 1_700_000_002]


def test_after_the_highest_number_there_is_none(tmp_path):
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(UsageError, match="no version number left"):
        publish_one(tmp_path)
    assert names(tmp_path) == [str(2**63 - 1)]


def test_an_existing_version_is_never_touched(tmp_path):
    publish_one(tmp_path, 5)
    before = (tmp_path / "5" / "variables" / "variables.data-00000-of-00001").read_bytes()
    with pytest.raises(UsageError, match="version 5 already exists") as caught:
        publish_one(tmp_path, 5)
    assert "6" in caught.value.hint
    assert (tmp_path / "5" / "variables" / "variables.data-00000-of-00001").read_bytes() == before
    assert names(tmp_path) == ["5"]


@pytest.mark.parametrize("supported", [True, False])
@pytest.mark.parametrize("make", ["full", "empty", "file", "link"])
def test_a_rename_replaces_nothing(tmp_path, monkeypatch, supported, make):
    if not supported:  # as on file systems without renameat2
        monkeypatch.setattr(rename, "_renameat2", lambda source, target: errno.EINVAL)
    source, target = tmp_path / "source", tmp_path / "1"
    source.mkdir()
    (source / "new").write_text("new")
    if make == "file":
        target.write_text("old")
    elif make == "link":
        target.symlink_to("nowhere")
    else:
        target.mkdir()
        if make == "full":
            (target / "old").write_text("old")
    with pytest.raises(FileExistsError):
        rename.rename_new(source, target)
    assert (source / "new").exists()
    rename.rename_new(source, tmp_path / "2")
    assert (tmp_path / "2" / "new").read_text() == "new"


def test_nothing_is_left_after_a_failure(tmp_path):
    base = tmp_path / "models" / "digits"

    def fail(staged: publish.Stage) -> None:
        fill(staged.path)
        raise RuntimeError

    with pytest.raises(RuntimeError), publish.stage(base) as staged:
        fail(staged)
    assert names(tmp_path) == []


def test_a_base_path_that_was_there_stays(tmp_path):
    base = tmp_path / "digits"
    base.mkdir()
    with pytest.raises(KeyboardInterrupt), publish.stage(base):
        raise KeyboardInterrupt
    assert names(base) == []


def test_directories_of_dead_owners_are_removed_and_others_stay(tmp_path):
    mine = tmp_path / owner.current().staging_name()
    dead = tmp_path / dataclasses.replace(owner.current(), pid=2**22 + 1).staging_name()
    elsewhere = tmp_path / dataclasses.replace(owner.current(), host="elsewhere").staging_name()
    unrelated = tmp_path / ".hidden"
    for folder in (mine, dead, elsewhere, unrelated):
        folder.mkdir()
        (folder / "file").write_text("x")
    assert publish_one(tmp_path) == 1
    assert names(tmp_path) == sorted(["1", mine.name, elsewhere.name, unrelated.name])


def test_without_locks_numbers_are_still_distinct(tmp_path, monkeypatch):
    def no_locks(handle, kind):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda _: publish_one(tmp_path), range(24)))
    assert sorted(numbers) == list(range(1, 25))


def test_the_lock_keeps_others_out(tmp_path):
    order = []
    entered = threading.Event()

    def other():
        entered.set()
        with publish.lock_base_path(tmp_path):
            order.append("other")

    with publish.lock_base_path(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]
    assert names(tmp_path) == []


PUBLISHER = """
import sys
import tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_publish import publish_one
for _ in range(int(sys.argv[2])):
    print(publish_one(Path(sys.argv[1])), flush=True)
assert "tensorflow" not in sys.modules
"""


def test_64_publishers_on_one_base_path(tmp_path):
    """Six processes of four each, and forty threads here: 64 distinct consecutive versions, each whole."""
    base = tmp_path / "digits"
    command = [sys.executable, "-c", PUBLISHER, str(base), "4", str(Path(__file__).parent)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    with ThreadPoolExecutor(40) as threads:
        numbers = list(threads.map(lambda _: publish_one(base), range(40)))
    for child in children:
        printed, _ = child.communicate(timeout=300)
        assert child.returncode == 0
        numbers += map(int, printed.split())
    assert sorted(numbers) == list(range(1, 65))
    assert sorted(map(int, names(base))) == list(range(1, 65))
    for version in list_versions(base):
        assert verify_manifest(version.path) == []


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments), str(Path(__file__).parent)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


ON_FULL_DISK = """
import ctypes, os, sys
from pathlib import Path
base = Path(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
if libc.unshare(CLONE_NEWNS | (0 if os.geteuid() == 0 else CLONE_NEWUSER)) != 0:
    sys.exit(77)
if os.system(f"mount --make-rprivate / 2>/dev/null; mount -t tmpfs -o size=256k{sys.argv[2]} tmpfs {base} 2>/dev/null"):
    sys.exit(77)
sys.path.insert(0, sys.argv[-1])
from test_publish import fill, names, publish
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.export.tensorflow.write_errors import translate_write_errors
try:
    with publish.stage(base / "digits") as staged, translate_write_errors(base):
        fill(staged.path, 1_000_000)
        staged.publish()
except EnvironmentFault as error:
    print(error.message.replace(str(base), "BASE"), "|", error.hint.replace(str(base), "BASE"))
    print(names(base))
"""


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("", "no space left on the disk of BASE | free some space"),
        (",ro", "Read-only file system | make BASE/digits writable"),
    ],
)
def test_full_and_read_only_disks(tmp_path, option, message):
    result = run_python(ON_FULL_DISK, tmp_path, option)
    if result.returncode == 77:
        pytest.skip("this user may not mount a small disk in a namespace of its own")
    assert result.returncode == 0, result.stderr
    assert message in result.stdout
    assert result.stdout.splitlines()[-1] == "[]"


WITHOUT_PERMISSION = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[-1])
from test_publish import names, publish_one
from tfs_deploy.errors import EnvironmentFault
base = Path(sys.argv[1])
publish_one(base / "first")  # what Python loads later may be out of the other user's reach
base.chmod(0o555)
if os.geteuid() == 0:
    os.setuid(65534)
for target in (base, base / "digits"):
    try:
        publish_one(target)
    except EnvironmentFault as error:
        print(error.message.replace(str(base), "BASE"), "|", error.hint.replace(str(base), "BASE"), names(base))
"""


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that other users reach: those of ``tmp_path`` are closed again by every pytest that starts."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_directory_without_permission(reachable):
    base = reachable / "models"
    base.mkdir()
    result = run_python(WITHOUT_PERMISSION, base)
    base.chmod(0o755)
    assert result.returncode == 0, result.stderr
    first, second = result.stdout.splitlines()
    assert "cannot be written: Permission denied | make BASE writable" in first
    assert "BASE/digits cannot be written: Permission denied | make BASE/digits writable" in second
    assert first.endswith(" ['first']")
    assert second.endswith(" ['first']")


def test_a_version_takes_its_number_under_the_lock(tmp_path):
    published = []
    with publish.stage(tmp_path) as staged:
        fill(staged.path)
        with publish.lock_base_path(tmp_path):
            thread = threading.Thread(target=lambda: published.append(staged.publish().number))
            thread.start()
            thread.join(0.2)
            assert not (tmp_path / "1").exists()
        thread.join()
    assert published == [1]


def test_the_highest_number_there_is_can_be_published(tmp_path):
    (tmp_path / str(2**63 - 2)).mkdir()
    assert publish_one(tmp_path) == 2**63 - 1


def test_a_base_path_that_was_made_for_a_version_stays_with_it_and_goes_without_one(tmp_path):
    base = tmp_path / "models" / "digits"
    with publish.stage(base) as staged:
        assert staged.path.parent == base
    assert names(tmp_path) == []
    assert publish_one(base) == 1
    assert names(base) == ["1"]


def test_what_was_made_is_removed_if_there_can_be_no_stage(tmp_path, monkeypatch):
    def full(path: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    base = tmp_path / "models" / "digits"
    monkeypatch.setattr(publish, "remove_abandoned", full)
    with pytest.raises(EnvironmentFault, match=f"no space left on the disk of {base}"), publish.stage(base):
        pass
    assert names(tmp_path) == []


def test_directories_that_are_removed_are_told(tmp_path):
    dead = tmp_path / dataclasses.replace(owner.current(), pid=2**22 + 1).staging_name()
    dead.mkdir()
    (tmp_path / "1").mkdir()
    assert publish.remove_abandoned(tmp_path) == [dead]
    assert publish.remove_abandoned(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "message", "retriable"),
    [
        (errno.ENOSPC, "no space left on the disk of BASE", True),
        (errno.EDQUOT, "no space left on the disk of BASE", True),
        (errno.EACCES, "BASE/1 cannot be written: Permission denied", False),
        (errno.EIO, "BASE/1: Input/output error", False),
    ],
)
def test_errors_of_the_file_system_are_told_apart(tmp_path, number, message, retriable):
    with pytest.raises(EnvironmentFault) as caught, publish.translate_os_errors(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "1"))
    assert caught.value.message.replace(str(tmp_path), "BASE") == message
    assert caught.value.retriable is retriable


def test_files_are_on_the_disk_before_the_directories_that_name_them(tmp_path, monkeypatch):
    fill(tmp_path)
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(str(Path(f"/proc/self/fd/{handle}").readlink())))
    publish.sync_tree(tmp_path)
    assert sorted(synced) == sorted(str(path) for path in (tmp_path, *tmp_path.rglob("*")))
    assert synced.index(str(tmp_path / "variables")) < synced.index(str(tmp_path))
    assert synced[-1] == str(tmp_path)
