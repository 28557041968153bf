# SPDX-License-Identifier: Apache-2.0
"""Publishers and pullers that are killed at any step: what is visible is complete, the next one works, clean cleans."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tfs_deploy.errors import TfsDeployError
from tfs_deploy.savedmodel.manifest import FileEntry, verify_manifest
from tfs_deploy.savedmodel.versions import list_versions
from tfs_deploy.store.places.objects import ObjectPlace
from tfs_deploy.store.places.opened import open_place
from tfs_deploy.store.places.pull import pull_version

SCRIPT = Path(__file__).parents[2] / "support/killed_at_step.py"


class Killer:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, kill_at: int, job: str, address: str, path: Path) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kill_at}\t{job}\t{address}\t{path}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@pytest.fixture
def killed(weed):
    command = [sys.executable, str(SCRIPT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Killer(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)


class Reader(threading.Thread):
    """Looks for versions again and again, and reads each whole that it has not seen yet: every byte has to be right."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause, self._over = pause, threading.Event()
        self.wrong: list[str] = []
        self.looks = 0

    def run(self) -> None:
        while not self._over.wait(self._pause):
            try:
                self.look()
            except (TfsDeployError, OSError) as error:
                self.wrong.append(str(error))
            self.looks += 1

    def look(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self._over.set()
        self.join()


class PlaceReader(Reader):
    """Reads a place as a puller does, without our code for pulling."""

    def __init__(self, address: str, pause: float) -> None:
        super().__init__(pause)
        self._place = open_place(address)
        self.seen: set[int] = set()

    def look(self) -> None:
        place = self._place
        assert isinstance(place, ObjectPlace)
        for number in place.versions().keys() - self.seen:
            publication = place.publication(number)
            for name, entry in publication.files.items():
                key = place._key(f"files/{publication.folder}/{name}")
                found = bytes(place._obstore.get(place._store, key).bytes())
                if FileEntry(hashlib.sha256(found).hexdigest(), len(found)) != entry:
                    self.wrong.append(f"{name} of version {number} is not right")
            self.seen.add(number)


class BaseReader(Reader):
    """Reads a base path as a server does; ``lock`` is held while it looks."""

    def __init__(self, base: Path, pause: float) -> None:
        super().__init__(pause)
        self._base, self.lock, self.versions = base, threading.Lock(), 0

    def look(self) -> None:
        with self.lock:
            for found in list_versions(self._base) if self._base.exists() else []:
                self.wrong += map(str, verify_manifest(found.path))
                self.versions += 1


@pytest.mark.parametrize("kills", [12, pytest.param(100, marks=pytest.mark.full)])
def test_a_killed_publisher_leaves_nothing_half_published(weed, new_address, version, killed, kills, tmp_path):
    place = open_place(new_address(weed))
    address = str(place.address)
    outcome, total = killed(0, "publish", address, version).split()
    assert outcome == "done"
    reader = PlaceReader(address, 0.01)
    reader.start()
    steps = sorted({1 + index * int(total) // kills for index in range(kills)})
    outcomes = [killed(step, "publish", address, version) for step in steps]
    reader.stop()
    assert outcomes.count("killed") >= len(steps) * 0.8, outcomes
    assert reader.wrong == []
    assert reader.looks
    assert 1 in reader.seen
    before = list(place.versions())
    done = place.publish(version)
    assert done.publication.number == before[-1] + 1
    assert before == list(range(1, len(before) + 1)), "numbers have no gaps"
    place.clean(0)
    assert isinstance(place, ObjectPlace)
    assert {place.publication(number).folder for number in place.versions()} >= {
        folder for folder in place.folders() if place.sizes(folder)
    }
    assert verify_manifest(pull_version(place, None, tmp_path / "models/digits").path) == []


@pytest.mark.parametrize("kills", [12, pytest.param(100, marks=pytest.mark.full)])
def test_a_killed_puller_leaves_nothing_half_visible(weed, new_address, version, killed, kills, tmp_path):
    place = open_place(new_address(weed))
    address = str(place.address)
    place.publish(version)
    outcome, total = killed(0, "pull", address, tmp_path / "first/digits").split()
    assert outcome == "done"
    chosen = random.Random(3).sample(range(1, int(total) + 1), min(kills, int(total)))
    outcomes = []
    base = tmp_path / "models/digits"
    reader = BaseReader(base, 0.01)
    reader.start()
    for step in chosen:
        outcomes.append(killed(step, "pull", address, base))
        with reader.lock:
            for found in list_versions(base) if base.exists() else []:
                assert verify_manifest(found.path) == []
                found.path.rename(tmp_path / f"seen-{step}")
    reader.stop()
    assert reader.wrong == []
    assert reader.looks
    assert outcomes.count("killed") >= len(chosen) * 0.8, outcomes
    assert verify_manifest(pull_version(place, None, base).path) == []
    assert [path.name for path in base.iterdir()] == ["1"], "what was abandoned is removed"
