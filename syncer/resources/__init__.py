"""The synced kinds: one file each, saying what goes to the host and what comes back. Pure."""
