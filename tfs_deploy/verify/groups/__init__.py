# SPDX-License-Identifier: Apache-2.0
"""The groups of checks of a verification, one file each."""
