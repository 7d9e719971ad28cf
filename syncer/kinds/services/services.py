"""Services: on the host with the tenant's ports and a selector of its own pods; addresses are the host's.

Pods are also told of them in their environment when they are created.
"""

from collections.abc import Iterable

from kube import apis
from kube.objects import Key, Obj, annotations_of, is_deleting, key_of, uid_of
from kube.patches import merge_patch
from syncer.core import marks
from syncer.core.actions import Action, Patch, Wait
from syncer.core.kind import Mirror
from syncer.core.rights import Rule
from syncer.core.scope import Scope
from syncer.kinds.services import admission, allocation, builtin
from syncer.kinds.services.spec import DECLARED, host_service, type_of

_STORED_WITHIN = 60.0  # seconds: an API server gives up a request before


def _namespace(service: Obj, _scope: Scope) -> Iterable[str]:
    return (service["metadata"]["namespace"],)


class Services(Mirror):
    """Index of tenant services: `namespace`."""

    api = apis.SERVICES
    on_host = "a Service with a selector of this tenant's pods"
    to_tenant = "ClusterIP, node ports, load balancer"
    declared = DECLARED
    indexes = {"tenant": {"namespace": _namespace}}
    also = builtin.IN_NAMESPACES

    honours = ("sync.services.annotations", "sync.services.external_names")
    rights = (Rule(apis.SERVICES, ("create", "patch", "delete"), side="tenant"),)

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        if key in builtin.KEYS:
            return [*self.unwanted(host), *builtin.service(key, tenant, scope)]
        if host is not None and admission.is_pending(host):
            if tenant is None:
                return self._not_stored(key, host, scope)
            if self.wanted(tenant, scope):
                return self.both(tenant, host, scope)
        if tenant is not None and (meant := allocation.meant(tenant)):
            if host is not None and marks.is_owned(host, tenant) and not is_deleting(host):
                return [allocation.moved_to(meant, host)]
            tenant = meant
        return super().plan(key, tenant, host, scope)

    def wanted(self, tenant: Obj, scope: Scope) -> bool:
        return type_of(tenant) != "ExternalName" or scope.sync.services.external_names

    def absent(self, tenant: Obj, scope: Scope) -> list[Action]:
        return [allocation.create(tenant, scope)]

    def both(self, tenant: Obj, host: Obj, scope: Scope) -> list[Action]:
        """The tenant's fields first: they may change what the host allots, and its answer brings us here
        again."""
        if is_deleting(host):
            return []
        back = _load_balancer(tenant, host)
        if actions := allocation.to_host(tenant, host, scope):
            return [*back, *actions]
        return [*back, *allocation.to_tenant(tenant, host)]

    def to_host(self, tenant: Obj, scope: Scope) -> Obj:
        return host_service(tenant, scope)

    def _not_stored(self, key: Key, host: Obj, scope: Scope) -> list[Action]:
        """Made by the webhook for a Service that the tenant's API server then refused, or is about to
        store."""
        try:
            remaining = float(annotations_of(host)[marks.PENDING]) + _STORED_WITHIN - scope.now
        except ValueError:
            remaining = 0.0
        return [Wait(min(remaining, _STORED_WITHIN))] if remaining > 0 else self.unwanted(host, key)


def _load_balancer(tenant: Obj, host: Obj) -> list[Action]:
    """The load balancer's addresses; none for another type, whatever the host has not cleared yet."""
    is_balanced = type_of(tenant) == type_of(host) == "LoadBalancer"
    theirs = ((host.get("status") or {}).get("loadBalancer") or {}) if is_balanced else {}
    ours = (tenant.get("status") or {}).get("loadBalancer") or {}
    if not (body := merge_patch(ours, theirs)):
        return []
    status = {"status": {"loadBalancer": body}}
    return [Patch("tenant", apis.SERVICES, key_of(tenant), uid_of(tenant), status, "status", type="merge")]
