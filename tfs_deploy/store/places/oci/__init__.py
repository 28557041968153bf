# SPDX-License-Identifier: Apache-2.0
"""Versions as images in a registry (OCI image and distribution specifications 1.1)."""
