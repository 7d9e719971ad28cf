"""ConfigMaps and Secrets are on the host only while a pod needs them there: what nobody reads stays at
home."""

from syncer.core import apis, marks
from syncer.core.objects import Obj, annotations_of, key_of
from syncer.core.scope import Scope


def is_referenced(plural: str, tenant: Obj, scope: Scope) -> bool:
    """Whether a tenant pod refers to the object, or the tenant wants it on the host anyway."""
    if annotations_of(tenant).get(marks.SYNC) == "true":
        return True
    return bool(scope.tenant.indexed(apis.PODS, "references", (plural, key_of(tenant))))
