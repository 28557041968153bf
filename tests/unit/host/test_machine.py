# SPDX-License-Identifier: Apache-2.0
"""The machine: its boot and its memory."""

from __future__ import annotations

from tfs_deploy.host import machine


def test_a_boot_has_a_name_that_stays():
    assert machine.boot_id() == machine.boot_id() != ""


def test_a_system_without_proc_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_BOOT_ID", tmp_path / "none")
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "none")
    assert machine.boot_id() == ""
    assert machine.available_bytes() is None


def test_memory_that_is_available(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal:  8 kB\nMemAvailable:  3 kB\n")
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "meminfo")
    assert machine.available_bytes() == 3072
