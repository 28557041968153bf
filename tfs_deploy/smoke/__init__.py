"""Checks of what is served: does every label answer, with the right version, as recorded at export?"""

from __future__ import annotations

from tfs_deploy.client.protocols import Predictor
from tfs_deploy.smoke.report import SmokeCheck, SmokeReport, Target
from tfs_deploy.smoke.smoke import smoke_target

__all__ = ["Predictor", "SmokeCheck", "SmokeReport", "Target", "smoke_target"]
