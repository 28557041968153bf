"""The REST client (extra ``rest``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.client.client_base import BlockingClient
from tfs_deploy.client.options import settings_of
from tfs_deploy.client.rest.dialect import RestDialect
from tfs_deploy.client.rest.transport import RestTransport, rest_base_url
from tfs_deploy.client.transport import split_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from tfs_deploy.client.options import Options


class RestClient(BlockingClient):
    """Calls TensorFlow Serving over REST; has what ``Client`` has except ``reload`` and ``multi_inference``.

    The metadata is always asked for, since JSON has no dtypes; a reply's ``version`` is only known where the call
    named one. half, bfloat16, uint16 and complex tensors and empty batches need gRPC.

    Args:
        address: ``HOST:PORT`` (a bare host means port 8501) or an http(s) URL; or several, see ``Client``.
        options: see ``options.Settings``: ``timeout``, ``attempt_timeout``, ``retries``, ``hedge_after``, ``check``,
            ``signature``, ``label``, ``version``, ``headers``, ``token``, ``tls``, ``compression``, ``hooks``.

    Raises:
        MissingExtraError: httpx or orjson is not installed.
    """

    def __init__(self, address: str | Sequence[str], **options: Unpack[Options]) -> None:
        settings = settings_of(options)
        urls = [rest_base_url(each, encrypted=settings.tls is not None) for each in split_targets(address)]
        super().__init__(RestDialect(), [RestTransport(url, settings) for url in urls], settings, "rest")
        self._address = ",".join(urls)

    def __repr__(self) -> str:
        return f"RestClient({self._address!r})"
