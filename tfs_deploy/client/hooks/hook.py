# SPDX-License-Identifier: Apache-2.0
"""What a hook implements: ``Client(..., hooks=[hook])``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tfs_deploy.client.call.call_record import CallRecord


class Hook(Protocol):
    """Observes every call of a client. An exception in a hook is logged and never fails the call."""

    def started(self, record: CallRecord) -> None:
        """Observe a call before anything is sent; may add to ``record.headers``."""

    def finished(self, record: CallRecord) -> None:
        """Observe a call that has returned or raised."""
