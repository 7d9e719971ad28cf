"""One module per command; `vcp.cli` imports the one that runs."""
