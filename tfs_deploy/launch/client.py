# SPDX-License-Identifier: Apache-2.0
"""A client for the server of a deployment, plain or over TLS as its file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.client import Client
from tfs_deploy.config.ssl import client_pair, ssl_config
from tfs_deploy.deployment.certificates import decode_certificate

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Unpack

    from tfs_deploy.client.options import GrpcOptions
    from tfs_deploy.deployment.deployment import Deployment


def client_for(deployment: Deployment, address: str, **options: Unpack[GrpcOptions]) -> Client:
    """Return a client for ``address``; ``options`` are those of ``Client``. See ``secured``."""
    return Client(address, **secured(deployment, options))


def secured(deployment: Deployment, options: GrpcOptions) -> GrpcOptions:
    """Return the options of a client with what the TLS of a deployment's server needs.

    With TLS it trusts the server's own certificate and those of ``ssl.ca``, under the name in that certificate: the
    toolkit started that server itself. A server that asks for a client certificate gets the one of ``ssl.client_cert``,
    else its own.
    """
    section = deployment.ssl
    if section is None:
        return options
    import grpc

    pem = ssl_config(section)
    own = client_pair(section) if section.client_verify else (None, None)
    roots = f"{pem.server_cert}\n{pem.custom_ca}".encode()
    credentials = grpc.ssl_channel_credentials(roots, *own)
    name = certificate_name(section.cert)
    named = (("grpc.ssl_target_name_override", name),) if name else ()
    return {**options, "options": (*named, *options.get("options", ())), "credentials": credentials}


def certificate_name(path: Path) -> str | None:
    """Return a name that a certificate is for, None if it names none."""
    found = decode_certificate(path)
    names = [value for kind, value in found.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
    names += [value for part in found.get("subject", ()) for key, value in part if key == "commonName"]
    return names[0].replace("*", "host") if names else None
