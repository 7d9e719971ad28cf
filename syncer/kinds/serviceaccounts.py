"""ServiceAccounts, for the workload identity of clouds: their annotations say on the host who a pod is there.

They are names and annotations only. No token of the host is mounted for them unless the policy says so, and
they have no rights there but those that the host's administrator binds.
"""

from collections.abc import Mapping
from typing import Any

from kube import apis, patches
from kube.objects import Obj, annotations_of
from syncer.core import marks
from syncer.core.declaration import Declaration
from syncer.core.kind import Mirror
from syncer.core.scope import Scope


class ServiceAccounts(Mirror):
    api = apis.SERVICE_ACCOUNTS
    on_host = (
        "only with `sync.serviceAccounts.enabled`, those that pods run as: annotations that the policy lists"
    )
    declared = Declaration(on_demand=True)
    honours = tuple(f"sync.service_accounts.{field}" for field in ("enabled", "annotations", "tokens"))

    def to_host(self, tenant: Obj, scope: Scope) -> Obj:
        host = super().to_host(tenant, scope)
        host["metadata"]["annotations"] |= _annotations(tenant, scope)
        return host | {"automountServiceAccountToken": scope.sync.service_accounts.tokens}

    def host_changes(self, tenant: Obj, host: Obj, scope: Scope) -> Mapping[str, Any]:
        """Of the annotations only those that the policy lists; the host may add others."""
        wanted, tokens = _annotations(tenant, scope), scope.sync.service_accounts.tokens
        body = patches.merge_patch(_annotations(host, scope), wanted)
        changes: dict[str, Any] = {"metadata": {"annotations": body}} if body else {}
        if host.get("automountServiceAccountToken") is not tokens:
            changes["automountServiceAccountToken"] = tokens
        return changes


def _annotations(account: Obj, scope: Scope) -> dict[str, str]:
    """Those of an account of either side that the policy lists."""
    return marks.allowed(annotations_of(account), scope.sync.service_accounts.annotations)
