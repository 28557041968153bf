# SPDX-License-Identifier: Apache-2.0
"""Transports send bytes and return bytes: the interface, load balancing over several servers, and hedged requests."""
