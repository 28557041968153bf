# SPDX-License-Identifier: Apache-2.0
"""A first deployment file for what is there: models on disk, a models.config, a running server.

``disk`` and ``running`` look, ``document`` decides, ``commented`` writes; the last two are pure.
"""

from __future__ import annotations
