# SPDX-License-Identifier: Apache-2.0
"""tfs_deploy: export, configure, launch, call, verify and roll out models on TensorFlow Serving.

The public names below are imported on first use, so ``import tfs_deploy`` costs next to nothing and a
client never pulls in TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.lazy import lazy_names

__version__ = "0.2.0"

if TYPE_CHECKING:
    from tfs_deploy import codec as codec
    from tfs_deploy import errors as errors
    from tfs_deploy.client import AsyncClient as AsyncClient
    from tfs_deploy.client import AsyncRestClient as AsyncRestClient
    from tfs_deploy.client import AsyncRouter as AsyncRouter
    from tfs_deploy.client import Client as Client
    from tfs_deploy.client import PredictReply as PredictReply
    from tfs_deploy.client import RestClient as RestClient
    from tfs_deploy.client import Router as Router
    from tfs_deploy.errors import TfsDeployError as TfsDeployError
    from tfs_deploy.export import ExportedVersion as ExportedVersion
    from tfs_deploy.export import Signature as Signature
    from tfs_deploy.export import classify_examples as classify_examples
    from tfs_deploy.export import export_model as export_model
    from tfs_deploy.export import from_examples as from_examples
    from tfs_deploy.export import from_image_bytes as from_image_bytes
    from tfs_deploy.export import regress_examples as regress_examples
    from tfs_deploy.export import with_vocabulary as with_vocabulary
    from tfs_deploy.operations import AsyncDeployment as AsyncDeployment
    from tfs_deploy.operations import Deployment as Deployment
    from tfs_deploy.rollout import RequestStats as RequestStats
    from tfs_deploy.rollout import Rollout as Rollout
    from tfs_deploy.runtime import LocalModel as LocalModel
    from tfs_deploy.runtime import load_model as load_model
    from tfs_deploy.savedmodel import SavedModelInfo as SavedModelInfo
    from tfs_deploy.savedmodel import inspect_model as inspect_model

_HOME = {
    "AsyncClient": "tfs_deploy.client",
    "AsyncDeployment": "tfs_deploy.operations",
    "AsyncRestClient": "tfs_deploy.client",
    "AsyncRouter": "tfs_deploy.client",
    "Client": "tfs_deploy.client",
    "Deployment": "tfs_deploy.operations",
    "ExportedVersion": "tfs_deploy.export",
    "LocalModel": "tfs_deploy.runtime",
    "PredictReply": "tfs_deploy.client",
    "RequestStats": "tfs_deploy.rollout",
    "RestClient": "tfs_deploy.client",
    "Rollout": "tfs_deploy.rollout",
    "Router": "tfs_deploy.client",
    "SavedModelInfo": "tfs_deploy.savedmodel",
    "Signature": "tfs_deploy.export",
    "TfsDeployError": "tfs_deploy.errors",
    "classify_examples": "tfs_deploy.export",
    "codec": "tfs_deploy.codec",
    "errors": "tfs_deploy.errors",
    "export_model": "tfs_deploy.export",
    "from_examples": "tfs_deploy.export",
    "from_image_bytes": "tfs_deploy.export",
    "inspect_model": "tfs_deploy.savedmodel",
    "load_model": "tfs_deploy.runtime",
    "regress_examples": "tfs_deploy.export",
    "with_vocabulary": "tfs_deploy.export",
}

__all__ = [
    "AsyncClient",
    "AsyncDeployment",
    "AsyncRestClient",
    "AsyncRouter",
    "Client",
    "Deployment",
    "ExportedVersion",
    "LocalModel",
    "PredictReply",
    "RequestStats",
    "RestClient",
    "Rollout",
    "Router",
    "SavedModelInfo",
    "Signature",
    "TfsDeployError",
    "__version__",
    "classify_examples",
    "codec",
    "errors",
    "export_model",
    "from_examples",
    "from_image_bytes",
    "inspect_model",
    "load_model",
    "regress_examples",
    "with_vocabulary",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME, __all__)
