# SPDX-License-Identifier: Apache-2.0
"""Servers as containers of a Docker Engine."""
