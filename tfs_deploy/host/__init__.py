# SPDX-License-Identifier: Apache-2.0
"""This machine: its boot and memory, processes and what they use, TCP ports, signals, commands."""
