"""What a tenant with all rights in their cluster, or a host user with few, tries against others."""

from ..workloads.conftest import place, working

__all__ = ["place", "working"]
