# SPDX-License-Identifier: Apache-2.0
"""The demo: from training to a rolled-out second version, with the public parts of the toolkit (see ``story``)."""

from __future__ import annotations
