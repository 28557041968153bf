"""Routers: requests split over labels by weight, recorded, and shadowed to a candidate."""
