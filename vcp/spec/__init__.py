"""The spec: what a user says about a tenant, read, checked, compared and written out."""

from vcp.spec.changing import changes, immutable_violations
from vcp.spec.loading import dump, load
from vcp.spec.model import KNOWN_VERSION, Spec

__all__ = ["KNOWN_VERSION", "Spec", "changes", "dump", "immutable_violations", "load"]
