"""The embedded server as a process of this machine."""
