# SPDX-License-Identifier: Apache-2.0
"""TLS of the server: PEM files to the server's SSLConfig and back."""

from __future__ import annotations

import pytest

from tfs_deploy import protos
from tfs_deploy.config.ssl import client_pair, key_mode, ssl_config, ssl_section
from tfs_deploy.deployment.deployment import Ssl
from tfs_deploy.errors import UsageError


def pem(kind: str, content: str) -> str:
    return f"-----BEGIN {kind}-----\n{content}\n-----END {kind}-----\n"


@pytest.fixture
def section(tmp_path):
    """Return a section whose files hold their own names."""
    kinds = {"key": "PRIVATE KEY", "cert": "CERTIFICATE", "ca": "CERTIFICATE"}
    kinds |= {"client_key": "PRIVATE KEY", "client_cert": "CERTIFICATE"}
    for name, kind in kinds.items():
        (tmp_path / name).write_text(pem(kind, name))
    return lambda *names, **more: Ssl(**{name: tmp_path / name for name in names}, **more)


def test_each_file_goes_to_its_place(section):
    message = ssl_config(section("key", "cert"))
    assert ("key\n" in message.server_key, "cert\n" in message.server_cert) == (True, True)
    assert (message.custom_ca, message.client_verify) == ("", False)
    message = ssl_config(section("key", "cert", "ca", client_verify=True))
    assert ("ca\n" in message.custom_ca, message.client_verify) == (True, True)


def test_a_config_becomes_a_section_and_files():
    message = protos.SSLConfig(server_key="KEY", server_cert="CERT")
    section = {"key": "shop.key.pem", "cert": "shop.cert.pem"}
    files = {"shop.key.pem": "KEY", "shop.cert.pem": "CERT"}
    assert ssl_section(protos.to_text(message), "ssl.config", "shop") == (section, files)
    message = protos.SSLConfig(server_key="KEY", server_cert="CERT", custom_ca="CA", client_verify=True)
    section |= {"ca": "shop.ca.pem", "client_verify": True}
    assert ssl_section(protos.to_text(message), "ssl.config", "shop") == (section, {**files, "shop.ca.pem": "CA"})


@pytest.mark.parametrize(("text", "missing"), [('server_key: "K"', "server_cert"), ('server_cert: "C"', "server_key")])
def test_a_config_without_a_pair_is_refused(text, missing):
    with pytest.raises(UsageError, match=f"ssl.config has no {missing}"):
        ssl_section(text, "ssl.config", "shop")


def test_the_toolkit_presents_its_own_pair_or_that_of_the_server(section):
    key, cert = client_pair(section("key", "cert"))
    assert (b"\nkey\n" in key, b"\ncert\n" in cert) == (True, True)
    key, cert = client_pair(section("key", "cert", "client_key", "client_cert"))
    assert (b"\nclient_key\n" in key, b"\nclient_cert\n" in cert) == (True, True)


def test_the_permissions_of_the_key_are_kept(section, tmp_path):
    for mode in (0o640, 0o600):
        (tmp_path / "key").chmod(mode)
        assert key_mode(section("key", "cert")) == mode
    (tmp_path / "key").unlink()
    assert key_mode(section("key", "cert")) == 0o600
