"""Which tenant objects a pod refers to by name, and their names on the host; which fields are refused."""

from collections.abc import Iterable, Iterator
from itertools import product

from kube import apis
from kube.objects import Key, Obj, key_of
from syncer.core import marks
from syncer.core.actions import Action, Fetch
from syncer.core.declaration import Declaration, Refusal
from syncer.core.kind import OUTLINE
from syncer.core.messages import Wording
from syncer.core.refusal import Problem
from syncer.core.scope import Scope
from syncer.kinds.pods.tokens import secret_name

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
_IN_CONTAINERS = {
    "env[].valueFrom.configMapKeyRef.name": "configmaps",
    "env[].valueFrom.secretKeyRef.name": "secrets",
    "envFrom[].configMapRef.name": "configmaps",
    "envFrom[].secretRef.name": "secrets",
}
_IN_VOLUMES = {
    "configMap.name": "configmaps",
    "secret.secretName": "secrets",
    "persistentVolumeClaim.claimName": "persistentvolumeclaims",
    "projected.sources[].configMap.name": "configmaps",
    "projected.sources[].secret.name": "secrets",
    "azureFile.secretName": "secrets",
    "csi.nodePublishSecretRef.name": "secrets",
    **{
        f"{kind}.secretRef.name": "secrets"
        for kind in ("cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos")
    },
}

DECLARED = Declaration(
    references={
        **{
            f"spec.{one}[].{path}": kind for one, (path, kind) in product(_CONTAINERS, _IN_CONTAINERS.items())
        },
        **{f"spec.volumes[].{path}": kind for path, kind in _IN_VOLUMES.items()},
        "spec.imagePullSecrets[].name": "secrets",
        "spec.serviceAccountName": "serviceaccounts",
    },
    refused={
        **dict.fromkeys(
            (
                *("spec.resourceClaims", "spec.resources.claims"),
                *(f"spec.{one}[].resources.claims" for one in _CONTAINERS),
            ),
            Refusal(reason="claims of dynamic resources are not synced to the host"),
        ),
        "spec.schedulingGroup": Refusal(reason="pod groups are not synced to the host"),
        "spec.workloadRef": Refusal(reason="workloads are not synced to the host"),
        "spec.runtimeClassName": Refusal(
            reason="is not mapped to a class of the host", allow="sync.pods.runtimeClasses"
        ),
    },
)


def references(pod: Obj) -> frozenset[tuple[str, Key]]:
    """(plural, tenant key) of every ConfigMap, Secret and claim that a tenant pod refers to."""
    namespace, name = key_of(pod)
    claims = {
        ("persistentvolumeclaims", Key(namespace, claim_name(name, volume["name"])))
        for volume in pod["spec"].get("volumes") or ()
        if "ephemeral" in volume
    }
    return DECLARED.referred(pod) | claims


def foreign(referred: Iterable[tuple[str, Key]], scope: Scope) -> Iterator[Problem]:
    """Of what a tenant pod refers to (`references`), that of which the host's object of the name stands for
    something else: the pod would read what another namespace holds."""
    for plural, key in referred:
        if any(marks.is_of_another(obj, key) for obj in scope.host.named(scope.host_key(key))):
            yield Problem("spec", f"refers to {key.name} ({plural}), whose name on the host is taken")


def outlined(referred: Iterable[tuple[str, Key]], scope: Scope) -> list[Action]:
    """Fetches what a tenant pod refers to (`references`) as far as only its outline is known: how large a
    container's texts become depends on it."""
    kinds = {api.plural: api for api in (apis.CONFIG_MAPS, apis.SECRETS)}
    return [
        Fetch(kinds[plural], key)
        for plural, key in referred
        if plural in kinds and OUTLINE in (scope.tenant.get(kinds[plural], key) or ())
    ]


def translated(part: Obj, tenant: Obj, scope: Scope) -> Obj:
    """A part of a pod's spec with the names of what it refers to as on the host."""
    spec: Obj = DECLARED.translated({"spec": part}, tenant["metadata"]["namespace"], scope)["spec"]
    return spec


def host_names(pod: Obj, scope: Scope) -> dict[str, str]:
    """The tenant's names, by the host's, of a pod and of what it refers to."""
    key = key_of(pod)
    name = scope.host_key(key).name
    others = {scope.host_key(other).name: other.name for _, other in references(pod)}
    return {name: key.name, secret_name(name): f"{key.name}-token", **others}


def wording_of(pod: Obj, scope: Scope, host_uid: str = "") -> Wording:
    """Puts the host's texts about a pod into its tenant's words."""
    return Wording(pod, scope, lambda: host_names(pod, scope), host_uid)


def host_name(name: str, tenant: Obj, scope: Scope) -> str:
    """The host name of an object in the namespace of a tenant pod."""
    return scope.host_key(Key(tenant["metadata"]["namespace"], name)).name


def claim_name(pod: str, volume: str) -> str:
    """The claim that the tenant's controller makes for an ephemeral volume (KEP-1698)."""
    return f"{pod}-{volume}"
