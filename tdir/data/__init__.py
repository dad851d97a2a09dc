"""Readers, one file per layout, and the degradations."""
