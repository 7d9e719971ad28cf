"""Pods: run on the host as ordinary pods; the tenant sees what became of them."""

import functools
from collections.abc import Iterable, Mapping

from kube import apis
from kube.objects import Key, Obj, annotations_of, is_deleting, key_of, labels_of, uid_of
from syncer.core import marks, names, podselectors
from syncer.core.actions import Action, Create, Delete, Ensure, Patch
from syncer.core.kind import Mirror, Trigger
from syncer.core.refusal import Refused
from syncer.core.rights import SYNCED, Rule
from syncer.core.scope import Scope
from syncer.kinds.pods import affinity, changes, lifecycle, references, servicelinks, spec, status, streams
from syncer.kinds.pods.partial import HostPod, TenantPod
from syncer.kinds.pods.whereabouts import addresses, node


def _namespace(pod: Obj, _scope: Scope) -> Iterable[str]:
    return (pod["metadata"]["namespace"],)


def _host_name(pod: Obj, scope: Scope) -> Iterable[str]:
    """Both names that its host pod may have: which of them it has changes without the tenant pod."""
    return names.host_names(scope.name, *key_of(pod))


def _node(pod: Obj, _scope: Scope) -> Iterable[str]:
    return node(pod)


def _addresses(pod: Obj, _scope: Scope) -> Iterable[str]:
    return addresses(pod)


def _services(pod: Obj, _scope: Scope) -> Iterable[str]:
    return servicelinks.read_by(pod)


def _of_namespace(namespace: Obj, scope: Scope) -> Iterable[Key]:
    return (
        key_of(pod) for pod in scope.tenant.indexed(apis.PODS, "namespace", namespace["metadata"]["name"])
    )


def _of_tokens(secret: Obj, _scope: Scope) -> Iterable[Key]:
    """A Secret with the tokens of a pod serves that pod."""
    key = marks.key_of(secret)
    return (key,) if key and annotations_of(secret).get(marks.RESOURCE) == apis.PODS.plural else ()


def _namespace_labels(pod: Obj, _scope: Scope) -> Iterable[str]:
    return affinity.namespace_labels(pod)


def _labelled(labels: Iterable[str], scope: Scope) -> Iterable[Key]:
    """The pods in namespaces that have any of these labels."""
    sought = set(labels)
    for namespace in scope.tenant.indexed(apis.NAMESPACES, "all", "") if sought else ():
        if not sought.isdisjoint(labels_of(namespace)):
            yield from _of_namespace(namespace, scope)


def _of_selecting(pod: Obj, scope: Scope) -> Iterable[Key]:
    """The first pod that selects by a label of namespaces has it copied, and the last one takes it away."""
    selecting = functools.partial(scope.tenant.indexed, apis.PODS, "namespace_label")
    return _labelled((key for key in affinity.namespace_labels(pod) if len(selecting(key)) <= 1), scope)


class Pods(Mirror):
    """Indexes: of tenant pods by `namespace`, by `references` (plural and key), by `host_name` and by
    `namespace_label`, those that they select namespaces by; of host pods by `node`, by `address` and by
    `services`, the ConfigMap that tells them of services."""

    api = apis.PODS
    on_host = "a pod, made from an allow-list of fields"
    to_tenant = "status, node, deletion by the host"
    declared = references.DECLARED
    indexes = {
        "tenant": {
            "namespace": _namespace,
            "host_name": _host_name,
            "namespace_label": _namespace_labels,
        },
        "host": {"node": _node, "address": _addresses, "services": _services},
    }
    indexed_by = {"tenant": ("spec",), "host": ("spec", "status")}
    shapes = {"tenant": TenantPod, "host": HostPod}
    honours = (
        "pod_security",
        *(
            f"sync.pods.{field}"
            for field in (
                *("volumes", "priority_classes", "schedulers", "node_names"),
                *("node_selector", "tolerations", "allowed_tolerations", "max_grace_period"),
                *("labels", "annotations", "annotations_to_tenant", "share_process_namespace"),
                *("limits.containers", "limits.volumes", "limits.environment"),
            )
        ),
    )
    # Token Secrets are this kind's own, and so are streams: a tenant that has pods has their logs.
    rights = (
        *(Rule(apis.PODS, ("patch",), sub) for sub in ("status", "ephemeralcontainers", "resize")),
        *(Rule(apis.PODS, verbs, sub) for sub, verbs in streams.RIGHTS.items()),
        Rule(apis.SECRETS, SYNCED),
        Rule(apis.CONFIG_MAPS, SYNCED),
        Rule(apis.PODS, ("patch", "delete"), side="tenant"),
        Rule(apis.PODS, ("patch",), "status", side="tenant"),
        Rule(apis.PODS, ("create",), "binding", side="tenant"),
        Rule(apis.SERVICE_ACCOUNTS, ("create",), "token", side="tenant"),
    )
    also = {
        ("tenant", apis.NAMESPACES): Trigger(_of_namespace, reads=labels_of),
        ("tenant", apis.PODS): Trigger(_of_selecting, reads=affinity.namespace_labels),
        ("host", apis.SECRETS): Trigger(_of_tokens),
    }

    def plan(self, key: Key, tenant: Obj | None, host: Obj | None, scope: Scope) -> list[Action]:
        if tenant is None:
            if host is None:
                return lifecycle.drop_tokens(key, scope)
            return self.unwanted(host, key)
        if host is None:
            return self.absent(tenant, scope)
        if not marks.is_owned(host, tenant):
            return self.unwanted(host, key)
        return self.both(tenant, host, scope)

    def unwanted(self, host: Obj | None, gone: Key | None = None) -> list[Action]:
        """The tenant pod went without waiting for the host's: it was deleted by force, or never bound."""
        ending = lifecycle.end_host(host, 0) if host else []
        return [*self.verified(host, gone), *ending] if host and ending else []

    def absent(self, tenant: Obj, scope: Scope) -> list[Action]:
        """No host pod: not yet, or not any more. A pod that ran once never runs a second time."""
        key = key_of(tenant)
        going = is_deleting(tenant)
        # Bound by its own tenant, it waits for a kubelet even if the host never had it.
        if lifecycle.was_on_host(tenant) or (going and tenant["spec"].get("nodeName")):
            return [*lifecycle.end_tenant(tenant, scope), *lifecycle.drop_tokens(key, scope)]
        if going or status.is_finished(tenant):
            return lifecycle.drop_tokens(key, scope)
        if tenant["spec"].get("schedulingGates"):
            return []
        referred = sorted(self.refers(tenant))
        if outlines := references.outlined(referred, scope):
            return outlines
        body = self.to_host(tenant, scope)
        if found := tuple(references.foreign(referred, scope)):
            raise Refused(*found)
        tokens = lifecycle.tokens(tenant, scope.host_key(key).name, scope)
        told = servicelinks.made(tenant, body, scope)
        others = (*tokens, *told, *self.needed(tenant), *self._selected(tenant, scope))
        return [*others, Create("host", self.api, body)]

    def _selected(self, tenant: Obj, scope: Scope) -> list[Action]:
        """The host's scheduler places the pod as soon as it is there, so those that it selects by labels of
        their namespaces have these labels before."""
        sought = affinity.namespace_labels(tenant)
        return [
            Ensure(self.name, key)
            for key in sorted(_labelled(sought, scope))
            if (host := scope.host.get(self.api, scope.host_key(key)))
            and (namespace := scope.tenant.get(apis.NAMESPACES, Key("", key.namespace)))
            and not labels_of(host).keys()
            >= {podselectors.namespace_label_key(one) for one in sought & labels_of(namespace).keys()}
        ]

    def both(self, tenant: Obj, host: Obj, scope: Scope) -> list[Action]:
        """What may fail for a reason of the tenant's (a change that the host refuses) comes after what may
        not wait: deletion, binding and the status."""
        tenant_going, host_going = is_deleting(tenant), is_deleting(host)
        running = not (tenant_going or host_going)
        actions: list[Action] = []
        if tenant_going:
            actions += lifecycle.end_host(host, lifecycle.grace_of(tenant, scope.sync.pods.max_grace_period))
        elif running and (binding := lifecycle.bind(tenant, host, scope)):
            actions += binding
            if "startTime" not in host.get("status", {}):
                # No kubelet has seen the pod: there is no more to tell, and the binding brings us here again.
                return actions
        to_host = changes.host_changes(tenant, host, scope, running=running)
        if back := status.to_tenant(tenant, host, scope, settled=running and not to_host):
            actions.append(back)
        if scope.sync.pods.annotations_to_tenant and (
            shown := status.annotations_to_tenant(tenant, host, scope)
        ):
            actions.append(shown)
        actions += to_host
        if running and not status.is_finished(host):
            actions += lifecycle.tokens(tenant, host["metadata"]["name"], scope)
        if host_going and not tenant_going:  # evicted, drained: its controller replaces it at once
            grace = lifecycle.grace_of(host)
            actions.append(Delete("tenant", self.api, key_of(tenant), uid_of(tenant), grace))
        return actions

    def refused(self, tenant: Obj, reason: str, message: str, now: str) -> Patch | None:
        return lifecycle.unschedulable(tenant, message, now, reason)

    def tenant_of(self, host_name: str, scope: Scope) -> Obj | None:
        """Also while no host pod is there: Events outlive it."""
        named = scope.tenant.indexed(self.api, "host_name", host_name)
        found = [pod for pod in named if scope.host_key(key_of(pod)).name == host_name]
        return found[0] if len(found) == 1 else None

    def refers(self, tenant: Obj) -> Iterable[tuple[str, Key]]:
        return references.references(tenant)

    def host_names(self, tenant: Obj, scope: Scope) -> Mapping[str, str]:
        return references.host_names(tenant, scope)

    def to_host(self, tenant: Obj, scope: Scope) -> Obj:
        return spec.host_pod(tenant, scope)
