"""The groups of checks of a verification, one file each."""
