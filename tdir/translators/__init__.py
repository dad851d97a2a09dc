"""Trainable translators between a restorer and a head."""
