"""Scores by the field's protocols."""
