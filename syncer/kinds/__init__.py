"""The synced kinds: a file or a folder each, which says what goes to the host and what comes back. Pure."""
