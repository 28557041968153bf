# SPDX-License-Identifier: Apache-2.0
"""Which old versions are removed, and which never."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.deployment.address import parse_address
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import SpecError, UsageError
from tfs_deploy.state.active import write_active
from tfs_deploy.store import publish as publish_module
from tfs_deploy.store import retention
from tfs_deploy.store.publish import stage
from tfs_deploy.store.retention import check_keep, prune, prune_place


def publish(base: Path, *versions: int) -> None:
    for version in versions:
        with stage(base) as staged:
            (staged.path / "saved_model.pb").write_bytes(b"x")
            staged.publish(version)


def left(base: Path) -> list[int]:
    return sorted(int(path.name) for path in base.iterdir())


def deployment(file: Path, model: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"name: shop\nmodels:\n  - name: digits\n    base_path: {model}\n")
    return file


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    base = tmp_path / "models" / "digits"
    publish(base, 1, 2, 3, 4, 5)
    return base


def test_the_newest_stay(base):
    assert prune(base, 2, [], 5) == [1, 2, 3]
    assert left(base) == [4, 5]
    assert prune(base, 2, [], 5) == []


def test_the_version_just_published_stays_whatever_its_number(base):
    assert prune(base, 1, [], 2) == [1, 3, 4]
    assert left(base) == [2, 5]


def test_nothing_is_removed_while_a_version_is_published(base):
    removed = []
    with publish_module.lock_base_path(base):
        thread = threading.Thread(target=lambda: removed.append(prune(base, 1, [], 5)))
        thread.start()
        thread.join(0.2)
        assert left(base) == [1, 2, 3, 4, 5]
    thread.join()
    assert removed == [[1, 2, 3, 4]]


def test_version_0_is_one_as_well(base):
    publish(base, 0)
    assert prune(base, 5, [], 5) == [0]


def test_a_version_that_a_newer_one_has_made_old_is_moved_out_of_sight_first(base, monkeypatch):
    monkeypatch.setattr(retention.shutil, "rmtree", lambda folder, **options: None)
    assert prune(base, 4, [], 5) == [1]
    assert not (base / "1").exists()
    assert len([path for path in base.iterdir() if not path.name.isdecimal()]) == 1


@pytest.mark.parametrize(("above", "removed"), [(3, [2, 3, 4]), (4, [1, 2, 3, 4])])
def test_deployment_files_are_looked_for_three_directories_above(tmp_path, monkeypatch, above, removed):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    base = tmp_path / "top" / Path(*"abcd"[: above - 1]) / "digits"
    publish(base, 1, 2, 3, 4, 5)
    file = deployment(base.parents[above - 1] / "shop.yaml", str(base))
    file.write_text(file.read_text() + "    versions: {specific: [1]}\n")
    assert prune(base, 1, None, 5) == removed


def test_what_somebody_else_put_there_stays(base):
    (base / "007").mkdir()
    (base / "-1").mkdir()
    (base / "9").write_text("a file")
    (base / "8").symlink_to(base / "1")
    assert prune(base, 1, [], 5) == [1, 2, 3, 4]
    assert sorted(path.name for path in base.iterdir()) == ["-1", "007", "5", "8", "9"]


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ("    versions: {specific: [1, 3]}\n", [1, 3]),
        ("    versions: {specific: [2, 5]}\n    labels: {stable: 2}\n    traffic: {stable: 100}\n", [2]),
        ("    versions: {latest: 3}\n", [3, 4]),
        ("    versions: latest\n", []),
        ("    versions: all\n", [1, 2, 3, 4]),
    ],
)
@pytest.mark.parametrize("place", ["models", "configs", "models/digits", "elsewhere", "elsewhere/configs"])
def test_versions_that_a_deployment_file_names_stay(base, tmp_path, keys, named, place):
    file = deployment(tmp_path / place / "shop.yaml", str(base))
    file.write_text(file.read_text() + keys)
    prune(base, 1, None, 5)
    if place == "models/digits":
        file.unlink()
    assert left(base) == sorted({*named, 5})


def test_keeping_few_of_versions_that_are_all_served_is_said_to_have_no_effect(base, tmp_path, caplog):
    file = deployment(tmp_path / "shop.yaml", str(base))
    file.write_text(file.read_text() + "    versions: all\n")
    with caplog.at_level(logging.WARNING):
        assert prune(base, 5, [file], 5) == []
        assert caplog.messages == []
        assert prune(base, 2, [file], 5) == []
    assert caplog.messages == ["no old version was removed: a deployment file serves or names every version"]


def test_files_given_are_the_only_ones_that_count(base, tmp_path):
    near = deployment(tmp_path / "configs" / "near.yaml", str(base))
    near.write_text(near.read_text() + "    versions: {specific: [1]}\n")
    given = deployment(tmp_path / "far" / "away" / "given.yaml", str(base))
    given.write_text(given.read_text() + "    versions: {specific: [2]}\n")
    assert prune(base, 1, [given], 5) == [1, 3, 4]


def test_versions_that_a_rollout_serves_stay(base, tmp_path):
    file = deployment(tmp_path / "configs" / "shop.yaml", str(base))
    file.write_text(file.read_text() + "    versions: {specific: [5]}\n")
    loaded = load_deployment(file)
    loaded.state_dir.mkdir(parents=True)
    write_active(loaded.state_dir, {"digits": ActiveModel((2, 4), {"stable": 2, "canary": 4})})
    assert prune(base, 1, None, 5) == [1, 3]


def test_other_models_of_a_file_do_not_count(base, tmp_path):
    file = deployment(tmp_path / "configs" / "shop.yaml", str(tmp_path / "models" / "letters"))
    file.write_text(file.read_text() + "    versions: {specific: [1]}\n")
    assert prune(base, 1, None, 5) == [1, 2, 3, 4]


def test_a_file_with_mistakes_that_names_the_base_path_stops_removal(base, tmp_path, caplog):
    file = deployment(tmp_path / "configs" / "shop.yaml", '"../models/digits"  # ours')
    file.write_text(file.read_text() + "    verions: {specific: [1]}\n")
    with caplog.at_level(logging.WARNING):
        assert prune(base, 1, None, 5) == []
    assert "no old version was removed" in caplog.text
    assert left(base) == [1, 2, 3, 4, 5]
    with pytest.raises(SpecError):
        prune(base, 1, [file], 5)


@pytest.mark.parametrize("text", ["base_path: [", "base_path: ../models/letters\nnonsense: 1\n", "kind: base_path\n"])
def test_files_that_are_none_of_our_business_do_not_stop_removal(base, tmp_path, text):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "other.yaml").write_text(text)
    assert prune(base, 1, None, 5) == [1, 2, 3, 4]


@pytest.mark.parametrize("keep", [0, -1, True, "2", 1.0])
def test_how_many_stay_is_a_number(keep):
    with pytest.raises(UsageError, match="is not a valid number of versions"):
        check_keep(keep)


def test_how_many_may_be_all():
    assert check_keep(None) is None
    assert check_keep(1) == 1
    assert check_keep(3) == 3


def test_a_linked_version_stays_and_so_does_what_it_leads_to(base, tmp_path):
    (base / "1").rename(tmp_path / "release-1")
    (base / "1").symlink_to(tmp_path / "release-1")
    assert prune(base, 1, [], 5) == [2, 3, 4]
    assert left(base) == [1, 5]
    assert (base / "1" / "saved_model.pb").read_bytes() == b"x"


class Store:
    """A store with five versions."""

    address = parse_address("s3://models/digits")

    def __init__(self) -> None:
        self.there = dict.fromkeys(range(1, 6), "tag")

    def versions(self) -> dict[int, str]:
        return dict(self.there)

    def remove(self, number: int) -> None:
        del self.there[number]


def test_a_store_keeps_what_a_file_names_and_tells_what_it_removed(base, tmp_path):
    file = deployment(tmp_path / "shop.yaml", str(base))
    file.write_text(file.read_text() + "    store: s3://models/digits\n    versions: {specific: [2]}\n")
    store = Store()
    assert prune_place(store, 1, [file], 5) == [1, 3, 4]
    assert list(store.there) == [2, 5]


def test_a_file_with_mistakes_that_names_the_store_stops_removal(base):
    file = deployment(Path("shop.yaml"), "models/digits")
    file.write_text(file.read_text() + "    store: s3://models/digits\n    mistake: 1\n")
    assert prune_place(Store(), 1, None, 5) == []
