"""Servers as containers of a Docker Engine."""
