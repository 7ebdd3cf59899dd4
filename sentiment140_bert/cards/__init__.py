"""The JSON files of a run to its model card and dataset card: pure, offline, no number of its own."""
