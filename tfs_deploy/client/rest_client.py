"""The REST client (extra ``rest``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.client.client_base import ClientBase
from tfs_deploy.client.options import make_settings
from tfs_deploy.client.rest.address import rest_base_url
from tfs_deploy.client.rest.dialect import RestDialect
from tfs_deploy.client.rest.transport import RestTransport
from tfs_deploy.client.transport.addresses import split_addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from tfs_deploy.client.options import Options


class RestClient(ClientBase):
    """Calls TensorFlow Serving over REST; has all methods of ``Client`` except ``reload`` and ``multi_inference``.

    The metadata is always requested, since JSON has no dtypes; a reply's ``version`` is only known if the call named
    one. half, bfloat16, uint16 and complex tensors and empty batches need gRPC.

    Args:
        address: ``HOST:PORT`` (a bare host means port 8501) or an http(s) URL; for several servers see ``Client``.
        options: see ``options.Settings``: ``timeout``, ``attempt_timeout``, ``retries``, ``hedge_after``, ``check``,
            ``signature``, ``label``, ``version``, ``headers``, ``token``, ``tls``, ``compression``, ``hooks``.

    Raises:
        MissingExtraError: httpx or orjson is not installed.
    """

    def __init__(self, address: str | Sequence[str], **options: Unpack[Options]) -> None:
        settings = make_settings(options)
        urls = [rest_base_url(each, encrypted=settings.tls is not None) for each in split_addresses(address)]
        transports = [RestTransport(url, settings) for url in urls]
        super().__init__(RestDialect(), transports, settings, transport_name="rest")
        self._address = ",".join(urls)

    def __repr__(self) -> str:
        return f"RestClient({self._address!r})"
