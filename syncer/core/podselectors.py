"""Label selectors over pods, where all namespaces of all tenants are one namespace of the host.

A tenant's selector is narrowed to this tenant's pods. What it says of namespaces becomes requirements on the
labels that name a host pod's tenant namespace and carry that namespace's labels.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from kube.objects import Key, Labels, Obj
from syncer.core import marks, names
from syncer.core.scope import Scope

# What Kubernetes and Helm put on pods to find them by, and nothing acts on. Nor does anything act on keys
# without a domain, but for those below.
_HARMLESS = frozenset(
    {"vcp.dev", "helm.sh"} | {f"{what}.kubernetes.io" for what in ("app", "apps", "batch", "statefulset")}
)
NAME_OF_NAMESPACE = "kubernetes.io/metadata.name"  # API servers see to it that it is the name
_ACTED_ON = frozenset({"aadpodidbinding"})
_MAX_NAME = 63  # of a label key's part after the slash
_HASH = 16


def of_namespace(selector: Any, namespace: str, scope: Scope) -> Any:
    """A selector over the pods of one tenant namespace, in either form: a LabelSelector, or plain labels as
    Services have. An empty one counts as a LabelSelector and selects all pods of the namespace."""
    if not isinstance(selector, dict):
        return selector
    if selector and all(isinstance(value, str) for value in selector.values()):
        return {**labels(selector, scope), **marks.labels(scope.name, Key(namespace, ""))}
    return narrowed(selector, listed([namespace]), scope)


def narrowed(selector: Obj, namespaces: Obj, scope: Scope, *requirements: Obj) -> Obj:
    """A LabelSelector, which is not nil, within `namespaces` (`listed`, `selected` or {}) of this tenant."""
    wanted = {
        **labels(selector.get("matchLabels") or {}, scope),
        **namespaces.get("matchLabels", {}),
        marks.TENANT: scope.name,
    }
    expressions = [
        *(_renamed(each, scope) for each in (*(selector.get("matchExpressions") or ()), *requirements)),
        *namespaces.get("matchExpressions", ()),
    ]
    return {"matchLabels": wanted, **({"matchExpressions": expressions} if expressions else {})}


def listed(names: list[str]) -> Obj:
    """The pods of these tenant namespaces."""
    if len(names) == 1:
        return {"matchLabels": {marks.NAMESPACE: names[0]}}
    return {"matchExpressions": [requirement(marks.NAMESPACE, "In", sorted(names))]}


def selected(selector: Obj) -> Obj:
    """The pods of the tenant namespaces that a LabelSelector over namespaces matches."""
    labels = (selector.get("matchLabels") or {}).items()
    return {
        "matchLabels": {namespace_label_key(key): value for key, value in labels},
        "matchExpressions": [
            {**each, "key": namespace_label_key(each["key"])}
            for each in selector.get("matchExpressions") or ()
        ],
    }


def requirement(key: str, operator: str, values: list[str]) -> Obj:
    return {"key": key, "operator": operator, "values": values}


def is_selective(selector: Obj) -> bool:
    """Whether a LabelSelector leaves anything out; an empty one matches all."""
    return bool(selector.get("matchLabels") or selector.get("matchExpressions"))


def matches(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Whether a label selector, which is not nil, matches (apimachinery, LabelSelectorAsSelector)."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for one in selector.get("matchExpressions") or ():
        key, operator = one["key"], one["operator"]
        held = key in labels
        if operator in ("In", "NotIn"):
            held = held and labels[key] in (one.get("values") or ())
        if held == (operator in ("NotIn", "DoesNotExist")):
            return False
    return True


def labels(tenant: Labels, scope: Scope) -> dict[str, str]:
    """Labels of a tenant pod, or of a selector over such, as the host pod has them."""
    passed = scope.sync.pods.labels
    return {label_key(key, passed): value for key, value in tenant.items()}


@lru_cache(maxsize=4096)
def label_key(key: str, passed: tuple[str, ...]) -> str:
    """The host pod's label for a label of its tenant pod. Sidecar injectors, meshes and cloud identities of
    the host act on labels under their domains, so only those keys stay as they are that are harmless or that
    the policy lists."""
    domain, slash, _ = key.partition("/")
    if (domain in _HARMLESS) if slash else key not in _ACTED_ON:
        return key
    return key if marks.is_listed(key, passed) else marks.POD_PREFIX + _flat(key)


def _renamed(expression: Obj, scope: Scope) -> Obj:
    key = label_key(expression["key"], scope.sync.pods.labels)
    return expression if key == expression["key"] else {**expression, "key": key}


@lru_cache(maxsize=1024)  # those of a namespace's labels, in each plan of its pods
def namespace_label_key(key: str) -> str:
    """The host pod's label for a label of its tenant namespace."""
    if key == NAME_OF_NAMESPACE:
        return marks.NAMESPACE
    return marks.NAMESPACE_PREFIX + _flat(key)


def _flat(key: str) -> str:
    """A label's key as the part of another after the slash: unique to `key`, and valid.

    A label key has one slash, so that of `kubernetes.io/metadata.name` becomes an underscore: no DNS domain
    holds one, so the first marks the place. Plain keys with an underscore would be ambiguous, and long ones
    are invalid: a hash stands for the rest of those.
    """
    domain, slash, name = key.rpartition("/")
    plain = f"{domain}_{name}" if slash else name
    if len(plain) > _MAX_NAME or (not slash and "_" in plain):
        digest = names.digest(key, length=_HASH)
        plain = f"{plain[: _MAX_NAME - _HASH - 1].rstrip('-_.')}-{digest}"
    return plain
