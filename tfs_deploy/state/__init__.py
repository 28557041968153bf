# SPDX-License-Identifier: Apache-2.0
"""The state directory of a deployment, ``.tfs-deploy/NAME``: its files, formats, readers, writers and lock."""
