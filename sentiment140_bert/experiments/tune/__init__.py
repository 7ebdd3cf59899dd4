"""Looking for better settings: what is tried, the store that remembers it, and what it says."""

SAMPLERS, PRUNERS = ("tpe", "random"), ("median", "hyperband", "none")
