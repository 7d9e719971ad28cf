"""EndpointSlices of Services without selector: the host's Services of that kind have the same.

Those of all other Services are computed on either side by that side's own controllers, from pods that are on
both.
"""

from collections.abc import Hashable, Iterable

from kube import apis, patches
from kube.objects import Key, Obj, is_deleting, key_of, labels_of, uid_of
from syncer.core import marks
from syncer.core.actions import Action, Create, Delete, Patch, Report
from syncer.core.kind import Mirror, Trigger
from syncer.core.rights import Rule
from syncer.core.scope import Scope
from syncer.kinds.pods.whereabouts import addresses, whereabouts
from syncer.kinds.services import builtin, slices

_COMPUTED = "endpointslice-controller.k8s.io"
_CONTENT = ("endpoints", "ports")


def _service(one: Obj, _scope: Scope) -> Iterable[Hashable]:
    key = slices.service_key(one)
    return (key,) if key else ()


def _addresses(one: Obj, _scope: Scope) -> Iterable[Hashable]:
    return (address for endpoint in one.get("endpoints") or () for address in endpoint.get("addresses") or ())


def _of_service(service: Obj, scope: Scope) -> Iterable[Key]:
    return (key_of(one) for one in scope.tenant.indexed(apis.ENDPOINT_SLICES, "service", key_of(service)))


def _with_address(host_pod: Obj, scope: Scope) -> Iterable[Key]:
    for address in addresses(host_pod):
        for one in scope.tenant.indexed(apis.ENDPOINT_SLICES, "address", address):
            yield key_of(one)


class EndpointSlices(Mirror):
    """Indexes of tenant slices: by the key of their `service`, and by `address`."""

    api = apis.ENDPOINT_SLICES
    on_host = "only those of Services without selector"
    watches = {"tenant": f"{builtin.MANAGED_BY}!={_COMPUTED}", "host": marks.selector("{tenant}")}
    indexes = {"tenant": {"service": _service, "address": _addresses}}
    honours = ("network",)
    rights = (Rule(apis.ENDPOINT_SLICES, ("create", "patch", "delete"), side="tenant"),)
    also = {
        **builtin.IN_NAMESPACES,
        ("tenant", apis.SERVICES): Trigger(_of_service),
        ("host", apis.PODS): Trigger(_with_address, reads=whereabouts),
    }

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        if key in builtin.KEYS:
            return [*self.unwanted(host), *builtin.endpoint_slice(key, tenant, scope)]
        return super().plan(key, tenant, host, scope)

    def wanted(self, tenant: Obj, scope: Scope) -> bool:
        return slices.is_wanted(tenant, scope)

    def absent(self, tenant: Obj, scope: Scope) -> list[Action]:
        wanted, problems = slices.host_slice(tenant, scope)
        return [Create("host", self.api, wanted), *_told(tenant, problems)]

    def both(self, tenant: Obj, host: Obj, scope: Scope) -> list[Action]:
        """Refused addresses are left out and not only reported: a pod's address may go to another tenant."""
        if is_deleting(host):
            return []
        wanted, problems = slices.host_slice(tenant, scope)
        told = _told(tenant, problems)
        if host["addressType"] != wanted["addressType"]:  # it cannot be changed
            return [Delete("host", self.api, key_of(host), uid_of(host)), *told]
        body = patches.merge_patch(_content(host), _content(wanted))
        if labels := patches.merge_patch(labels_of(host), {**labels_of(host), **labels_of(wanted)}):
            body["metadata"] = {"labels": labels}
        patch = Patch("host", self.api, key_of(host), uid_of(host), body, type="merge")
        return [*([patch] if body else []), *told]


def _content(one: Obj) -> Obj:
    return {field: one.get(field) or [] for field in _CONTENT}


def _told(tenant: Obj, problems: Iterable[object]) -> list[Action]:
    text = "; ".join(str(problem) for problem in problems)
    return [Report(tenant, "Warning", "Refused", text)] if text else []
