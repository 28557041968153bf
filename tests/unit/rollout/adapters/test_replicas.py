# SPDX-License-Identifier: Apache-2.0
"""Several servers as one: what they say together, and what happens when one does not follow."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import FailedPreconditionError, UnavailableError, UsageError
from tfs_deploy.rollout.adapters.replicas import ReplicaSet, merged
from tfs_deploy.rollout.machine.observation import AVAILABLE, END, LOADING, ServerView, VersionView
from tfs_deploy.rollout.machine.replica import Replica

UP, COMING, GONE = VersionView(AVAILABLE), VersionView(LOADING), VersionView(END)


class Member:
    def __init__(self, address: str) -> None:
        self.address = address
        self.view = ServerView({1: UP}, {"stable": 1})
        self.got: list[object] = []
        self.error: Exception | None = None

    def observe(self, labels):
        if isinstance(self.error, UnavailableError):
            raise self.error
        return self.view

    def reload(self, config):
        if self.error is not None:
            raise self.error
        self.got.append(config)


class Config:
    state = ((1,), {"stable": 1})

    def read(self):
        return self.state

    def after(self, state, versions, labels):
        return versions, dict(labels)

    def write(self, state):
        self.state = state

    def message(self, state):
        return state


@pytest.fixture
def fleet():
    members = [Member("a:1"), Member("b:1"), Member("c:1")]
    fleet = ReplicaSet(members, Config())
    fleet.members, fleet.config = members, fleet._config
    yield fleet
    fleet.close()


@pytest.mark.parametrize(
    ("views", "versions", "labels", "mixed"),
    [
        ([ServerView({1: UP}, {"s": 1})] * 2, {1: UP}, {"s": 1}, {}),
        ([ServerView({1: UP, 2: UP}, {}), ServerView({1: UP, 2: COMING}, {})], {1: UP, 2: COMING}, {}, {}),
        ([ServerView({1: UP, 2: UP}, {}), ServerView({1: UP}, {})], {1: UP, 2: GONE}, {}, {}),
        ([ServerView({}, {"s": 1}), ServerView({}, {"s": 2})], {}, {}, {"s": frozenset({1, 2})}),
        ([ServerView({}, {"s": 1}), ServerView({}, {})], {}, {}, {"s": frozenset({1})}),
    ],
)
def test_together_they_are_as_far_as_the_slowest(views, versions, labels, mixed):
    view = merged({f"{number}:1": entry for number, entry in enumerate(views)})

    assert (view.versions, view.labels, view.mixed) == (versions, labels, mixed)


def test_a_version_that_only_some_have_left_is_still_answered_with():
    view = merged({"a": ServerView({1: GONE, 2: UP}), "b": ServerView({1: UP, 2: UP}), "c": ServerView({2: UP})})

    assert (view.available(1), view.answers(1), view.partly) == (False, True, frozenset({1}))
    assert view.answers(2)
    assert not merged({"a": ServerView({1: GONE}), "b": ServerView({})}).answers(1)


def test_a_version_that_failed_on_one_has_failed_and_its_server_is_named():
    failed = VersionView(END, 3, "no such op")

    view = merged({"a:1": ServerView({2: UP}), "b:1": ServerView({2: failed})})

    assert view.versions[2] == VersionView(END, 3, "b:1: no such op")


def test_a_label_reaches_every_version_that_some_server_answers_with():
    view = merged({"a:1": ServerView({}, {"s": 1}), "b:1": ServerView({}, {"s": 2})})

    assert view.reached("s") == {1, 2}
    assert view.reached("t") == frozenset()


def test_all_are_told_after_the_file(fleet):
    fleet.apply((1, 2), {"stable": 1})

    assert fleet.config.state == ((1, 2), {"stable": 1})
    assert [member.got for member in fleet.members] == [[((1, 2), {"stable": 1})]] * 3


def test_a_refusal_of_one_puts_the_file_and_the_others_back(fleet):
    fleet.members[1].error = FailedPreconditionError("not available for inference")

    with pytest.raises(FailedPreconditionError, match="b:1: not available"):
        fleet.apply((1, 2), {"stable": 2})

    assert fleet.config.state == ((1,), {"stable": 1})
    new, old = ((1, 2), {"stable": 2}), ((1,), {"stable": 1})
    assert [member.got for member in fleet.members] == [[new, old], [], [new, old]]


def test_one_that_cannot_be_reached_leaves_the_others_and_the_file_as_they_are_to_be(fleet):
    fleet.members[1].error = UnavailableError("connection refused")

    with pytest.raises(UnavailableError, match="b:1: connection refused"):
        fleet.apply((1, 2), {"stable": 1})

    assert fleet.config.state == ((1, 2), {"stable": 1})
    assert [len(member.got) for member in fleet.members] == [1, 0, 1]
    assert fleet.observe(["stable"]).missing == ("b:1",)


def test_none_that_answers_is_an_error_that_names_all(fleet):
    for member in fleet.members:
        member.error = UnavailableError("refused")

    with pytest.raises(UnavailableError, match="a:1: refused; b:1: refused; c:1: refused"):
        fleet.observe(["stable"])


@pytest.mark.parametrize(
    ("text", "replica"),
    [
        ("10.0.0.1:8500", Replica("10.0.0.1:8500")),
        ("host:8500/8501", Replica("host:8500", "host:8501")),
        ("[::1]:8500", Replica("[::1]:8500")),
    ],
)
def test_addresses(text, replica):
    assert Replica.parse(text) == replica


@pytest.mark.parametrize("text", ["", "host", "host:", ":8500", "host:x", "host:1/", "host:1/x"])
def test_what_is_no_address(text):
    with pytest.raises(UsageError, match="is not a valid server address"):
        Replica.parse(text)


def test_of_many_that_do_not_answer_a_message_names_a_few():
    members = [Member(f"10.0.0.{number}:8500") for number in range(50)]
    for member in members:
        member.error = UnavailableError("refused")
    fleet = ReplicaSet(members, Config())

    with pytest.raises(UnavailableError, match=r"^10\.0\.0\.0:8500: refused; .* refused; and 47 more$"):
        fleet.observe([])
    fleet.close()
