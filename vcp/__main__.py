"""`python -m vcp` is the console script `vcp`."""

from vcp.cli import main

main()
