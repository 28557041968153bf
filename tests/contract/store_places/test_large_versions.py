# SPDX-License-Identifier: Apache-2.0
"""Versions of many files, or of a large one: few requests, little memory. Rates: ``tests/bench/store_rates.py``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.faulty_proxy import FaultyProxy
from tfs_deploy.store.places.follow import Follower
from tfs_deploy.store.places.opened import open_place

#: publishes and pulls a version and tells how much memory it took at most (MB)
THERE_AND_BACK = """
import re, sys
from pathlib import Path
from tfs_deploy.store.places.opened import open_place
from tfs_deploy.store.places.pull import pull_version
place = open_place(sys.argv[1])
place.versions()
place.publish(Path(sys.argv[2]))
pull_version(place, 1, sys.argv[3])
# ru_maxrss would be that of the parent before the start
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def through(monkeypatch, store, proxy: FaultyProxy) -> None:
    for key, value in store.through(proxy.port).items():
        monkeypatch.setenv(key, value)


def memory_there_and_back(address: str, version: Path, base: Path) -> int:
    (version / "assets.extra/tfs_deploy.json").unlink()
    command = [sys.executable, "-c", THERE_AND_BACK, address, str(version), str(base)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert child.returncode == 0, child.stderr
    return int(child.stdout)


@pytest.mark.parametrize("kind", ["weed", "images"])
def test_memory_stays_bounded(request, kind, new_address, version, tmp_path):
    store = request.getfixturevalue(kind)
    for index in range(8):
        with (version / f"assets/large{index}").open("wb") as file:
            for _ in range(24):
                file.write(bytes([index]) * (1 << 20))
    assert memory_there_and_back(new_address(store), version, tmp_path / "models/digits") <= 200


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_file_of_five_gigabytes_takes_no_more(weed, new_address, version, tmp_path):
    size = 5 << 30
    with (version / "assets/large").open("wb") as file:
        file.truncate(size)
        for place in range(0, size, size // 50):  # what is sent in another order differs
            file.seek(place)
            file.write(place.to_bytes(8, "big"))
    base = tmp_path / "models/digits"
    address = new_address(weed)
    try:
        assert memory_there_and_back(address, version, base) <= 200
        assert (base / "1/assets/large").stat().st_size == size
    finally:
        shutil.rmtree(base, ignore_errors=True)
        open_place(address).remove(1)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_twenty_thousand_files_are_one_request_each(weed, new_address, version, tmp_path, monkeypatch):
    many = version / "assets/many"
    many.mkdir()
    for index in range(20_000):
        (many / f"{index}").write_text(str(index))
    files = sum(path.is_file() for path in version.rglob("*")) - 1
    with FaultyProxy(weed.port) as proxy:
        through(monkeypatch, weed, proxy)
        assert memory_there_and_back(new_address(weed), version, tmp_path / "models/digits") <= 200
        writes = sum(method == "PUT" for method, _ in proxy.seen)
        assert writes <= files * 1.05, "few are sent twice, after a failure of the proxy"
        assert len(proxy.seen) <= 2 * files * 1.05, "publish and pull: one request each, and few others"


def test_a_follower_with_nothing_to_do_makes_one_request_per_model(weed, new_address, version, tmp_path, monkeypatch):
    with FaultyProxy(weed.port) as proxy:
        through(monkeypatch, weed, proxy)
        models = []
        for name in ("digits", "letters", "words"):
            address = new_address(weed)
            open_place(address).publish(version)
            models.append({"name": name, "base_path": str(tmp_path / name), "store": address})
        file = tmp_path / "shop.yaml"
        file.write_text(yaml.safe_dump({"name": "shop", "models": models}))
        follower = Follower(file, keep=3)
        assert [step.pulled.version for step in follower.poll() if step.pulled] == [1, 1, 1]
        proxy.seen.clear()
        for _ in range(4):
            assert list(follower.poll()) == []
        assert [method for method, _ in proxy.seen] == ["GET"] * 4 * len(models), "one LIST; at most two are allowed"
