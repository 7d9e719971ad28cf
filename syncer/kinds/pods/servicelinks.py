"""The variables of services on the host: one ConfigMap for all pods of a tenant namespace that are told the
same.

The kubelet of the host reads it as the first `envFrom` of each container. All that a container sets itself
comes later, so it counts more, and its `$(NAME)` finds what stands before: as with the variables that a
kubelet of the tenant would add. Which pods refer to a ConfigMap is seen on the host alone, so none is deleted
before it was unused for some minutes.
"""

from collections.abc import Iterable

from kube import apis
from kube.objects import Key, Obj, annotations_of, is_deleting, key_of, uid_of
from syncer.core import marks, names
from syncer.core.actions import Action, Create, Delete, Patch, Wait
from syncer.core.kind import new_host_object
from syncer.core.scope import Scope
from syncer.kinds.pods import environment

_FRESH = 60.0  # seconds: the first pod that refers to it is there long before
_KEPT = 300.0  # seconds without a pod: a rollout must not make it anew each time
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def source(tenant: Obj, scope: Scope) -> list[Obj]:
    """The entry of `envFrom` that each container of a host pod begins with; none if nothing is told."""
    variables = environment.service_variables(tenant, scope)
    return [{"configMapRef": {"name": _key(tenant, variables, scope).name}}] if variables else []


def made(tenant: Obj, host_pod: Obj, scope: Scope) -> list[Action]:
    """Brings the ConfigMap that a host pod, or a part of one, is about to read onto the host, and keeps it
    there."""
    actions: list[Action] = []
    for name in read_by(host_pod):
        there = scope.host.get(apis.CONFIG_MAPS, Key(scope.namespace, name))
        if there is None or is_deleting(there):
            actions.append(Create("host", apis.CONFIG_MAPS, _body(tenant, name, scope)))
        elif marks.IDLE in annotations_of(there):
            actions += _noted(there, None)
    return actions


def _body(tenant: Obj, name: str, scope: Scope) -> Obj:
    namespace = Key("", tenant["metadata"]["namespace"])
    unknown = {"metadata": {"name": namespace.name, "uid": ""}}  # told of after its first pod
    known = scope.tenant.get(apis.NAMESPACES, namespace) or unknown
    body = new_host_object(apis.CONFIG_MAPS, known, scope)
    body["metadata"]["name"] = name
    notes = {marks.RESOURCE: apis.NAMESPACES.plural, marks.MADE: str(int(scope.now))}
    body["metadata"]["annotations"] |= notes
    return {**body, "data": environment.service_variables(tenant, scope), "immutable": True}


def read_by(host_pod: Obj) -> frozenset[str]:
    """The names of such ConfigMaps that a host pod refers to."""
    return frozenset(
        name
        for field in _CONTAINERS
        for container in host_pod["spec"].get(field) or ()
        for entry in container.get("envFrom") or ()
        if "." in (name := (entry.get("configMapRef") or {}).get("name", ""))
    )


def serves(config_map: Obj) -> Iterable[str]:
    """The tenant namespace whose pods a host ConfigMap serves, if it is such a one."""
    if annotations_of(config_map).get(marks.RESOURCE) == apis.NAMESPACES.plural:
        yield annotations_of(config_map).get(marks.NAME, "")


def unused(namespace: str, scope: Scope) -> list[Action]:
    """What is to be done about the ConfigMaps of a tenant namespace: those go that no pod has read for a
    while."""
    return [
        action
        for found in scope.host.indexed(apis.CONFIG_MAPS, "serves", namespace)
        if not is_deleting(found)
        for action in _kept_or_gone(found, scope)
    ]


def _kept_or_gone(found: Obj, scope: Scope) -> list[Action]:
    """A pod may come to refer to it at any time, and takes the note away first: the version that is deleted
    has it."""
    key, since = key_of(found), annotations_of(found).get(marks.IDLE)
    if scope.host.indexed(apis.PODS, "services", key.name):
        return [] if since is None else _noted(found, None)
    if since is None:
        age = scope.now - _seconds(annotations_of(found).get(marks.MADE, ""))
        return [Wait(_FRESH - age)] if age < _FRESH else _noted(found, str(int(scope.now)))
    remaining = _seconds(since) + _KEPT - scope.now
    if remaining > 0:
        return [Wait(remaining)]
    version = found["metadata"]["resourceVersion"]
    return [Delete("host", apis.CONFIG_MAPS, key, uid_of(found), version=version)]


def _seconds(note: str) -> float:
    """Since the epoch; 0, so long ago, if a host's administrator has garbled it."""
    return float(note) if note.isascii() and note.isdecimal() else 0.0


def _noted(found: Obj, since: str | None) -> list[Action]:
    body = {"metadata": {"annotations": {marks.IDLE: since}}}
    return [Patch("host", apis.CONFIG_MAPS, key_of(found), uid_of(found), body, type="merge")]


def _key(tenant: Obj, variables: environment.Variables, scope: Scope) -> Key:
    """The name tells the content. The dot keeps it apart from translated names, which are DNS labels."""
    namespace, name = scope.host_key(Key("", tenant["metadata"]["namespace"]))
    content = (text for pair in variables.items() for text in pair)
    return Key(namespace, f"{name}.{names.digest(*content, length=20)}")
