# SPDX-License-Identifier: Apache-2.0
"""Which labels may be assigned."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import FailedPreconditionError, InvalidArgumentError
from tfs_deploy.server.models.version_labels import assign_labels, resolve_label

AVAILABLE = {("m", 1), ("m", 2)}


def assign(wanted: dict, current: dict, *, allow: bool) -> dict:
    return assign_labels(
        wanted, current, is_available=lambda model, version: (model, version) in AVAILABLE, allow_unavailable=allow
    )


@pytest.mark.parametrize(
    ("wanted", "current", "allow", "accepted"),
    [
        ({"m": {"stable": 1}}, {}, False, True),
        ({"m": {"stable": 9}}, {}, False, False),
        ({"new": {"stable": 1}}, {}, False, False),
        # with the flag a new label may point anywhere, one that stays too, one that moves may not
        ({"m": {"stable": 9}}, {}, True, True),
        ({"m": {"stable": 9}}, {"m": {"stable": 9}}, True, True),
        ({"m": {"stable": 9}}, {"m": {"stable": 1}}, True, False),
        ({"m": {"stable": 2}}, {"m": {"stable": 1}}, True, True),
        # one refused label refuses all
        ({"m": {"stable": 1, "canary": 9}}, {}, False, False),
        ({"m": {"a": 1, "b": 1, "": 2}}, {}, False, True),
    ],
)
def test_assignment(wanted: dict, current: dict, allow: bool, accepted: bool) -> None:
    if accepted:
        assert assign(wanted, current, allow=allow) == wanted
    else:
        with pytest.raises(FailedPreconditionError, match="Request to assign label to version"):
            assign(wanted, current, allow=allow)


def test_labels_that_are_not_listed_are_gone() -> None:
    assert assign({"m": {}}, {"m": {"stable": 1}}, allow=False) == {}


def test_unknown_labels() -> None:
    assert resolve_label({"m": {"stable": 2}}, "m", "stable") == 2
    for model, label in (("m", "canary"), ("other", "stable")):
        with pytest.raises(InvalidArgumentError, match=f"^Unrecognized servable version label: {label}$"):
            resolve_label({"m": {"stable": 2}}, model, label)
