# SPDX-License-Identifier: Apache-2.0
"""The world of a real rollout, one file for each: servers and replicas, their config, traffic, checks, requests."""
