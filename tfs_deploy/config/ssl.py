# SPDX-License-Identifier: Apache-2.0
"""TLS on the gRPC port: the server's SSLConfig holds PEM contents, the deployment file names the files."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.deployment.certificates import read_pem
from tfs_deploy.errors import UsageError
from tfs_deploy.protos.text_format import parse_message

if TYPE_CHECKING:
    from tfs_deploy.deployment.deployment import Ssl


def ssl_config(section: Ssl) -> Any:
    """Make the ``SSLConfig`` message (ssl_config.proto); ``UsageError`` for a file that cannot be read."""
    message = protos.SSLConfig()
    message.server_key = read_pem(section.key, "key")
    message.server_cert = read_pem(section.cert, "cert")
    if section.ca is not None:
        message.custom_ca = read_pem(section.ca, "ca")
    message.client_verify = section.client_verify
    return message


def ssl_section(text: str, source: str, name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the section ``ssl`` of a deployment file for the text of an ``SSLConfig``, and the PEM files it names.

    The files are called ``NAME.key.pem``, ``NAME.cert.pem`` and ``NAME.ca.pem``. Raises ``UsageError`` if the text is
    not an ``SSLConfig`` with a key and a certificate.
    """
    found = parse_message(text, protos.SSLConfig(), source=source)
    if not found.server_key or not found.server_cert:
        missing = "server_cert" if found.server_key else "server_key"
        raise UsageError(f"{source} has no {missing}", hint="give the server's --ssl_config_file")
    pems = {"key": found.server_key, "cert": found.server_cert, "ca": found.custom_ca}
    files = {part: pem for part, pem in pems.items() if pem}
    section: dict[str, Any] = {part: f"{name}.{part}.pem" for part in files}
    if found.client_verify:
        section["client_verify"] = True
    return section, {f"{name}.{part}.pem": pem for part, pem in files.items()}


def client_pair(section: Ssl) -> tuple[bytes, bytes]:
    """Return the PEM of the key and the certificate that the toolkit presents to a server that asks for one."""
    if section.client_key is None or section.client_cert is None:
        return read_pem(section.key, "key").encode(), read_pem(section.cert, "cert").encode()
    return read_pem(section.client_key, "client_key").encode(), read_pem(section.client_cert, "client_cert").encode()


def key_mode(section: Ssl) -> int:
    """Return the permission bits of the private key's file; 0600 if they cannot be read."""
    try:
        return stat.S_IMODE(section.key.stat().st_mode)
    except OSError:
        return 0o600
