# SPDX-License-Identifier: Apache-2.0
"""Hooks: what a client tells about its calls, as Prometheus metrics and OpenTelemetry spans."""
