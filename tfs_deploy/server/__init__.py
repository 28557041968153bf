"""The embedded server: what works against it works against ``tensorflow_model_server``.

``python -m tfs_deploy.server`` takes the flags of the original. From the inside out: ``loader`` makes servables of
version directories, ``manager`` loads and unloads what is aspired, ``source`` aspires what it finds on disk, ``core``
applies a ModelServerConfig, ``dataplane`` answers requests given as plain values, and ``grpc_adapter`` and
``rest_adapter`` translate between it and the two protocols.
"""

from __future__ import annotations
