"""Frozen restorers, one file each; a new file with a decorated class is all that a new one needs."""
