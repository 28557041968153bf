# SPDX-License-Identifier: Apache-2.0
"""The embedded server as a process of this machine."""
