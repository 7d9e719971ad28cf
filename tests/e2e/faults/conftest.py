"""Throwaway tenants, and whether one agrees with the host."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import LabUser
from ..tenants.conftest import Tenant, Vcp, new_name
from .twins import differences


def apply(tenant: Tenant, obj: dict[str, Any], *, check: bool = True) -> None:
    tenant.kubectl("-n", "default", "apply", "-f", "-", stdin=json.dumps(obj), check=check)


def agree(tenant: Tenant) -> bool:
    """Whether both sides agree, once the tenant answers at all."""
    if tenant.kubectl("get", "--raw", "/readyz", check=False).returncode:
        return False
    found = differences(tenant)
    if found:
        print("\n".join(found[:5]))
    return not found


@pytest.fixture
def made(lab: LabUser, tmp_path: Path) -> Iterator[Callable[[], Tenant]]:
    """Makes throwaway tenants."""
    vcp = Vcp(lab, tmp_path)
    names = []

    def make() -> Tenant:
        names.append(new_name())
        vcp.run("create", names[-1], "--distro", "k8s", "--ephemeral")
        return Tenant(vcp, names[-1])

    yield make
    for name in names:
        vcp.run("delete", name, "--yes", "--no-wait")
