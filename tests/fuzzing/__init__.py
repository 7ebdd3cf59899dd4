"""Targets of fuzzing: bytes in, the name of an outcome out; whatever is wrong is raised. See ``scripts/fuzz.py``."""
