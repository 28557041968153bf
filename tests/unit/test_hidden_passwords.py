# SPDX-License-Identifier: Apache-2.0
"""What is shown to people holds neither passwords of URLs nor tokens."""

from __future__ import annotations

import pytest

from tfs_deploy.client import RestClient
from tfs_deploy.client.options import Settings
from tfs_deploy.errors import TfsDeployError, UnavailableError, UsageError
from tfs_deploy.host.addresses import read_address, read_server
from tfs_deploy.rollout.gates.registry import parse_gate
from tfs_deploy.rollout.machine.hook import RolloutHook
from tfs_deploy.text import visible, without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://joe:pw@host:1/x?y=a@b", "http://***@host:1/x?y=a@b"),
        ("see https://token@host and tcp://u:p@s@h:2375.", "see https://***@host and tcp://***@h:2375."),
        ("http://host/a@b", "http://host/a@b"),
        ("ssh://deploy@host and ssh://deploy:pw@host", "ssh://deploy@host and ssh://***@host"),
        ("http://host?user=a@b", "http://host?user=a@b"),
        ("serving:2.19@sha256:abc", "serving:2.19@sha256:abc"),
    ],
)
def test_what_stands_before_the_host_is_hidden(text: str, shown: str) -> None:
    assert without_passwords(text) == visible(text) == shown
    error = TfsDeployError(text, hint=text)
    assert (error.message, error.hint, str(error)) == (shown, shown, f"{shown} (hint: {shown})")


@pytest.mark.parametrize("read", [read_address, read_server, RestClient])
@pytest.mark.parametrize(
    "text", ["joe:pw-secret@host:port", "http://joe:pw-secret@host:port", "joe:pw-secret@host:x/y"]
)
def test_an_address_that_is_not_valid_is_named_without_its_password(read, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    assert "pw-secret" not in str(caught.value)
    assert "host" in str(caught.value)


def test_a_client_says_where_it_called_without_the_password() -> None:
    with RestClient("http://joe:pw-secret@127.0.0.1:1", timeout=5, retries=1) as client:
        with pytest.raises(UnavailableError) as caught:
            client.predict("m", {"x": [1.0]})
        assert "pw-secret" not in str(caught.value) + repr(client)
        assert "127.0.0.1:1" in str(caught.value)
    with pytest.raises(UsageError) as closed:
        client.predict("m", {"x": [1.0]})
    assert "pw-secret" not in str(closed.value)


def test_settings_and_clients_are_shown_without_token_and_headers() -> None:
    settings = Settings(token="secret", headers={"authorization": "secret"})
    assert "secret" not in repr(settings)
    with RestClient("localhost:1", token="secret", headers={"x-key": "secret"}) as client:
        assert "secret" not in repr(client) + repr(vars(client))


@pytest.mark.parametrize(
    "parse",
    [
        lambda: parse_gate("url=http://joe:pw-secret@host/x :: $.ctr > 1"),
        lambda: RolloutHook.parse("before:load=http://joe:pw-secret@host/x"),
    ],
)
def test_a_gate_or_hook_does_not_take_a_password_that_its_journal_would_hold(parse) -> None:
    with pytest.raises(UsageError, match="would not be sent, and be in the journal") as caught:
        parse()
    assert "pw-secret" not in str(caught.value)
