"""Fuzzing runs the same few examples each time in CI, and new ones for minutes with VCP_SOAK."""

from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("fuzz", derandomize=True, **_COMMON)
settings.register_profile("fuzz-soak", derandomize=False, print_blob=True, **_COMMON)
