"""Prepare tweets for training and evaluation: read, clean, deduplicate, split, tokenize, cache and publish them."""
