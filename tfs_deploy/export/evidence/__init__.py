# SPDX-License-Identifier: Apache-2.0
"""Evidence that a version works: goldens, warmup requests, provenance, validation."""
