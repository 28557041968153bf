# SPDX-License-Identifier: Apache-2.0
"""Who a version says that it is signed by, for showing it: nothing is checked here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import MissingExtraError
from tfs_deploy.extras import require_extra
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.savedmodel import layout
from tfs_deploy.store.signing.bundle import read_bundle

if TYPE_CHECKING:
    from pathlib import Path


def claims(version_dir: Path) -> dict[str, dict[str, Any] | None]:
    """Return who is said to have signed the files of a version and its verdict; ``None``: there is no signature.

    Each has the keys ``name``, ``key`` and ``subject`` of ``SignedBy``, and ``problem``: why it cannot be said.
    """
    about = {"signed_by": layout.SIGNATURE, "verdict_signed_by": layout.VERDICT_SIGNATURE}
    return {what: _claim(version_dir / name) for what, name in about.items()}


def _claim(path: Path) -> dict[str, Any] | None:
    nothing = {"name": None, "key": None, "subject": None}
    try:
        bundle = read_bundle(read_regular(path))
        require_extra("cryptography", "signing")
        from tfs_deploy.store.signing.keys import claimed_by

        return {**claimed_by(bundle).as_dict(), "problem": None}
    except FileNotFoundError:
        return None
    except OSError as error:
        return {**nothing, "problem": f"it cannot be read: {error.strerror}"}
    except ValueError as error:
        return {**nothing, "problem": f"it is not a valid signature: {error}"}
    except MissingExtraError as error:
        return {**nothing, "problem": str(error)}
