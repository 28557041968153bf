"""What every client does, without I/O: checks, call policy, steps and reading replies."""
