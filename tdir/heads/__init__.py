"""Frozen vision models behind one contract."""
