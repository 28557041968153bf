# SPDX-License-Identifier: Apache-2.0
"""The asynchronous REST client (extra ``rest``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.client.async_client_base import AsyncClientBase
from tfs_deploy.client.options import make_settings
from tfs_deploy.client.rest.address import rest_base_url
from tfs_deploy.client.rest.async_transport import AsyncRestTransport
from tfs_deploy.client.rest.dialect import RestDialect
from tfs_deploy.client.transport.addresses import split_addresses
from tfs_deploy.host.addresses import shown_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from tfs_deploy.client.options import Options


class AsyncRestClient(AsyncClientBase):
    """Calls TensorFlow Serving over REST from coroutines; has the arguments and limits of ``RestClient``.

    Each event loop that the client is used in has connections of its own, which are closed with the loop.

    Args:
        address: ``HOST:PORT`` (a bare host means port 8501) or an http(s) URL; for several servers see ``Client``.
        timeout: seconds that a call may take, including all its attempts (default 10).
        attempt_timeout: seconds that one attempt may take; ``None`` = as long as the call.
        retries: a ``Retries``, or the number of attempts; 1 = no retries.
        hedge_after: seconds after which a request is sent a second time and the first answer taken; ``None`` = never.
        check: check inputs against the server's metadata before sending (default ``True``).
        signature, label, version: defaults for calls that name none.
        headers: sent with every call.
        token: sent as ``authorization: Bearer TOKEN``; a function is called before every call.
        tls: ``True`` = TLS with the system's certificate authorities, or a ``Tls``.
        compression: ``"gzip"`` compresses requests and accepts compressed replies.
        max_reply: bytes that a reply may have, unpacked; a larger one is a ``ResourceExhaustedError``.
        hooks: observe every call.
    """

    def __init__(self, address: str | Sequence[str], **options: Unpack[Options]) -> None:
        settings = make_settings(options)
        urls = [rest_base_url(each, encrypted=settings.tls is not None) for each in split_addresses(address)]
        transports = [AsyncRestTransport(url, settings) for url in urls]
        super().__init__(RestDialect(), transports, settings, transport_name="rest")
        self._address = ",".join(urls)

    def __repr__(self) -> str:
        return f"AsyncRestClient({shown_address(self._address)})"
