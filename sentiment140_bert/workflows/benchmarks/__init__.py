"""The contenders of ``s140 benchmark``: how others do a job, and how this package does it."""
