"""Measurements, each against the figure that it has to reach: ``make bench``."""
