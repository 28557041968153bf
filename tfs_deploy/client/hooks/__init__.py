"""Hooks that come with the toolkit: Prometheus metrics and OpenTelemetry spans."""
