"""This machine: processes and what they use, TCP ports, signals, commands."""
