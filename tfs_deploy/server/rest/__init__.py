# SPDX-License-Identifier: Apache-2.0
"""The REST adapter: HTTP in, JSON out."""
