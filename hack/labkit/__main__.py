"""`python -m labkit` is `hack/lab`."""

from labkit.cli import main

main()
