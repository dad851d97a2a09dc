"""How the built-in scenes are drawn: a plan in road coordinates, painted from far to near."""
