"""The data plane: requests as plain values to answers as plain values."""
