"""Talk to the Hub; nothing else in the package does."""
