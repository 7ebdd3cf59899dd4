"""The hardware of this machine, and how much of it is in use."""
