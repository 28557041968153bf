"""The server as a process: flags, settings, ports, signals."""
