# SPDX-License-Identifier: Apache-2.0
"""Signatures: what the caller asks for, and ready-made wrappers."""
