"""ConfigMaps and Secrets are on the host only while a pod needs them there: what nobody reads stays at
home."""

from collections.abc import Iterable

from kube import apis
from kube.objects import Key, Obj, annotations_of, key_of
from syncer.core import marks
from syncer.core.kind import Trigger, Triggers
from syncer.core.scope import Scope
from syncer.kinds.pods.references import references


def is_referenced(plural: str, tenant: Obj, scope: Scope) -> bool:
    """Whether a tenant pod refers to the object, or the tenant wants it on the host anyway."""
    if annotations_of(tenant).get(marks.SYNC) == "true":
        return True
    return bool(scope.tenant.indexed(apis.PODS, "references", (plural, key_of(tenant))))


def by_pods(plural: str) -> Triggers:
    """A pod that comes, goes or changes its spec concerns the objects of this kind that it refers to."""

    def referred(pod: Obj, _scope: Scope) -> Iterable[Key]:
        return sorted(key for kind, key in references(pod) if kind == plural)

    return {("tenant", apis.PODS): Trigger(referred, reads=lambda pod: pod["spec"])}
