# SPDX-License-Identifier: Apache-2.0
"""The embedded server: what works against it works against ``tensorflow_model_server``.

``python -m tfs_deploy.server`` takes the flags of the original; ``testing`` runs the server inside a test.

A request enters through ``grpc`` or ``rest``, which know bytes and JSON; ``data_plane`` answers it with a servable of
``inference``, behind ``batching`` if that is enabled. ``models`` decides which servables there are, ``process`` turns
flags into a running server.
"""

from __future__ import annotations
