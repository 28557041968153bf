# SPDX-License-Identifier: Apache-2.0
"""Whether this machine can serve: facts are collected in one place and judged by pure functions."""

from __future__ import annotations

from tfs_deploy.doctor.finding import Diagnosis, Finding, Level
from tfs_deploy.doctor.gather import gather
from tfs_deploy.doctor.judge import judge

__all__ = ["Diagnosis", "Finding", "Level", "gather", "judge"]
