"""What a tenant with all rights in their cluster, or a host user with few, tries against others."""

from ..tenants.conftest import name, vcp
from ..workloads.conftest import place, working
from .sides import host, two

__all__ = ["host", "name", "place", "two", "vcp", "working"]
