# SPDX-License-Identifier: Apache-2.0
"""Verify a version before it serves traffic: from its files to a load test, and the verdict."""
