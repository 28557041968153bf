"""The controller: one tick observes, decides, writes the intention, acts, writes the outcome."""
