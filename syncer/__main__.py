"""`python -m syncer`: the entry point of the syncer image."""

import argparse
from importlib.metadata import version


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="syncer", description="Synchronises one tenant cluster with its host."
    )
    parser.add_argument("--version", action="version", version=version("vcp"))
    parser.parse_args()
    parser.error("this version has no resource to synchronise yet; only --version works")


if __name__ == "__main__":
    main()
