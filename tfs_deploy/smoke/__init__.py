# SPDX-License-Identifier: Apache-2.0
"""Smoke checks of a server: every label answers, with the right version, as recorded at export."""

from __future__ import annotations

from tfs_deploy.client.protocols import Predictor
from tfs_deploy.smoke.results import SmokeCheck, SmokeReport, Target
from tfs_deploy.smoke.smoke import smoke_target

__all__ = ["Predictor", "SmokeCheck", "SmokeReport", "Target", "smoke_target"]
