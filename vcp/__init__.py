"""vcp: a Kubernetes of its own for every tenant, in a namespace of a cluster that already exists."""

__version__ = "0.1.0"
