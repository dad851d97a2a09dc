"""The training of a translator."""
