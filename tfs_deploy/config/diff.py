# SPDX-License-Identifier: Apache-2.0
"""What changes between two configs, by the keys of the deployment file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfs_deploy.config.policies import policy_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class ModelChange:
    """One thing that changes in one model: ``what`` is base_path, versions, label NAME or platform."""

    model: str
    what: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.model}: {self.what} set to {self.new}"
        if self.new is None:
            return f"{self.model}: {self.what} removed, was {self.old}"
        return f"{self.model}: {self.what} {self.old} -> {self.new}"


@dataclass(frozen=True, slots=True)
class ConfigDiff:
    """Models that come, go and change; false if nothing does."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[ModelChange, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    def lines(self) -> list[str]:
        """Return one line for each change, additions first, removals last."""
        added = [f"{name}: added" for name in self.added]
        return [*added, *map(str, self.changed), *(f"{name}: removed" for name in self.removed)]


def diff(old: Any, new: Any) -> ConfigDiff:
    """Compare two ``ModelServerConfig``; the order of models and of versions does not count."""
    before = {config.name: config for config in old.model_config_list.config}
    after = {config.name: config for config in new.model_config_list.config}
    changed = [change for name in after if name in before for change in _model_changes(before[name], after[name])]
    added = tuple(name for name in after if name not in before)
    removed = tuple(name for name in before if name not in after)
    return ConfigDiff(added, removed, tuple(changed))


def _model_changes(old: Any, new: Any) -> Iterator[ModelChange]:
    if old.base_path != new.base_path:
        yield ModelChange(new.name, "base_path", old.base_path, new.base_path)
    if old.model_platform != new.model_platform:
        yield ModelChange(new.name, "platform", old.model_platform or None, new.model_platform or None)
    if policy_of(old) != policy_of(new):
        yield ModelChange(new.name, "versions", str(policy_of(old)), str(policy_of(new)))
    before, after = dict(old.version_labels), dict(new.version_labels)
    for label in sorted(before.keys() | after.keys()):
        if before.get(label) != after.get(label):
            yield ModelChange(new.name, f"label {label}", _text(before.get(label)), _text(after.get(label)))


def _text(version: int | None) -> str | None:
    return None if version is None else str(version)
