# SPDX-License-Identifier: Apache-2.0
"""The PEM files under ``trust`` of a deployment file, as far as they can be judged without the extra ``signing``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.host.regular_file import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_PUBLIC: Final = (b"-----BEGIN PUBLIC KEY-----", b"-----BEGIN CERTIFICATE-----")


def check_trusted_keys(paths: Sequence[Path]) -> Iterator[tuple[int, str]]:
    """Yield (position, what is wrong with the file): missing, not PEM, or the private key."""
    for index, path in enumerate(paths):
        try:
            data = read_regular(path)
        except OSError as error:
            yield index, f"{path} cannot be read: {error.strerror}"
            continue
        if b"PRIVATE KEY-----" in data:
            yield index, f"{path} holds a private key, which only the signer should have: give its public key"
        elif not any(begin in data for begin in _PUBLIC):
            yield index, f"{path} holds no PEM block with a public key or a certificate"
