"""The command line: ``tdir train | benchmark | infer``."""
