# SPDX-License-Identifier: Apache-2.0
"""Read, describe and judge SavedModels without TensorFlow."""

from __future__ import annotations

from tfs_deploy.savedmodel.inspect import SavedModelInfo, inspect_model

__all__ = ["SavedModelInfo", "inspect_model"]
