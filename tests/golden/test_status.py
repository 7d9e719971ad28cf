"""Each folder of status/ is a case: tenant.yaml and host.yaml go in, back.yaml is the tenant's status then.

`UPDATE_GOLDEN=1 pytest tests/golden` writes what comes out, for a reviewer to read.
"""

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube.objects import Obj
from syncer.kinds.pods.changes import host_changes
from syncer.kinds.pods.status import status_changes
from tests.unit import podcases

HERE = Path(__file__).parent / "status"
CASES = sorted(path.parent for path in HERE.glob("*/host.yaml"))


class _Readable(yaml.SafeDumper):
    """Lists indented, long lines whole, no aliases: as a person writes manifests."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def pods(case: Path) -> tuple[Obj, Obj]:
    """The files say what matters of each pod; the rest is a pair as it is after binding."""
    given_tenant, given_host = (
        yaml.safe_load((case / name).read_text()) for name in ("tenant.yaml", "host.yaml")
    )
    tenant = podcases.merged(podcases.tenant_pod(), given_tenant)
    host = podcases.merged(podcases.host_pod(tenant), given_host)
    return tenant, host


def shown(tenant: Obj, host: Obj) -> Obj:
    """The tenant's status after the patch, nulls left out as the API server does for conditions."""
    settled = not host_changes(tenant, host, podcases.scope(), running=True)
    patch = status_changes(tenant, host, podcases.scope(), settled=settled)
    status: Obj = podcases.merged(tenant["status"], patch)
    return status


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_status_that_the_tenant_sees(case: Path) -> None:
    tenant, host = pods(case)
    given = copy.deepcopy((tenant, host))
    status = shown(tenant, host)
    assert (tenant, host) == given
    text = yaml.dump(status, Dumper=_Readable, width=1000)
    if os.environ.get("UPDATE_GOLDEN"):
        (case / "back.yaml").write_text(text)
    assert (case / "back.yaml").read_text() == text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_status_is_settled_after_one_write(case: Path) -> None:
    tenant, host = pods(case)
    tenant["status"] = shown(tenant, host)
    settled = not host_changes(tenant, host, podcases.scope(), running=True)
    assert status_changes(tenant, host, podcases.scope(), settled=settled) == {}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_in_the_status_names_the_host_objects(case: Path) -> None:
    tenant, host = pods(case)
    text = str(shown(tenant, host))
    for name in (podcases.HOST_KEY.name, podcases.HOST_UID, "vcp-work"):
        assert name not in text
