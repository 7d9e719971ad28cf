"""What ties a host object to its tenant object: labels to select by, annotations to translate back by.

A host object is *marked* when it carries these for our tenant, and *owned* when it also names the uid of the
tenant object that is there now. Names alone prove nothing.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from kube.objects import Key, Labels, Obj, annotations_of, labels_of, uid_of

PREFIX = "vcp.dev/"  # refused on tenant objects, so nothing there can pass for a mark
NAMESPACE_PREFIX = "ns.vcp.dev/"  # the tenant namespace's labels, for translated namespace selectors

POD_PREFIX = "pod.vcp.dev/"  # labels of tenant pods that something on the host might act on

TENANT = "vcp.dev/tenant"
NAMESPACE = "vcp.dev/namespace"
NAME = "vcp.dev/name"
UID = "vcp.dev/uid"
PENDING = "vcp.dev/pending"  # since when (epoch seconds) a host Service waits for the tenant's to be stored
RESOURCE = "vcp.dev/resource"  # the plural that a host object serves, if it is not of its own kind
KEYS = "vcp.dev/keys"  # what was copied to a host pod (keys of labels and annotations, images), as JSON
IDLE = "vcp.dev/idle"  # since when (epoch seconds) no pod has read a ConfigMap of service variables
MADE = "vcp.dev/made"  # when (epoch seconds) such a ConfigMap was made
MOVING = "vcp.dev/moving"  # on a tenant Service whose address is being changed: its spec, as JSON
OVERDRAWN = "vcp.dev/overdrawn"  # on the syncer's Lease: seconds that a write on the host has to wait
FIGHTS = "vcp.dev/fights"  # on the syncer's Lease: objects of which something undoes what is written
REPLACED = "vcp.dev/replaced"  # on the syncer's Lease: APIs of the tenant that another server answers for
SYNC = "vcp.dev/sync"  # the one annotation of ours that a tenant may set: keep this object on the host


def selector(tenant: str) -> str:
    """The label selector of all host objects of a tenant that stand for a tenant object."""
    return f"{TENANT}={tenant},{NAMESPACE}"


def labels(tenant: str, key: Key) -> dict[str, str]:
    return {TENANT: tenant, NAMESPACE: key.namespace}


def annotations(key: Key, uid: str) -> dict[str, str]:
    return {NAME: key.name, UID: uid}


def key_of(host: Obj) -> Key | None:
    """The tenant key that a host object stands for; None if it is not marked."""
    namespace, name = labels_of(host).get(NAMESPACE), annotations_of(host).get(NAME)
    return None if namespace is None or name is None else Key(namespace, name)


def is_of_another(host: Obj, key: Key) -> bool:
    """Whether a host object says that it stands for another tenant object."""
    return key_of(host) not in {None, key}


def is_owned(host: Obj, tenant: Obj) -> bool:
    return annotations_of(host).get(UID) == uid_of(tenant)


def allowed(annotations: Labels, keys: Iterable[str]) -> dict[str, str]:
    """Those of the annotations that a policy lists as `keys`, in which `*` stands for any text; a reserved
    one never."""
    keys = tuple(keys)
    return {key: value for key, value in annotations.items() if is_listed(key, keys) and not is_reserved(key)}


def is_listed(key: str, keys: Iterable[str]) -> bool:
    """Whether a list names the key; `*` in it stands for any text."""
    return any(key == listed or ("*" in listed and fnmatchcase(key, listed)) for listed in keys)


def is_reserved(key: str) -> bool:
    """Whether a label or annotation key is ours: `vcp.dev/…` and any subdomain of it."""
    domain = key.partition("/")[0]
    return "/" in key and (domain == "vcp.dev" or domain.endswith(".vcp.dev"))
