"""`python -m benchkit`, which `hack/bench` runs."""

from benchkit.cli import main

main()
