# SPDX-License-Identifier: Apache-2.0
"""Real models of PyPI's libraries: exported, verified, served, and compared with what the library itself computes."""
