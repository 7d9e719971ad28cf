"""Affinity between pods, where all namespaces of all tenants are one namespace of the host.

Each selector is narrowed to this tenant's pods, and what a term says of namespaces becomes requirements on
the labels that name a host pod's tenant namespace and carry that namespace's labels.
"""

from itertools import product
from typing import Any

from kube import apis
from kube.objects import Obj, labels_of
from syncer.core import marks, podselectors
from syncer.core.paths import Paths
from syncer.core.podselectors import is_selective, listed, matches, requirement, selected
from syncer.core.scope import Scope

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_OVER_NAMESPACES = Paths(
    {
        f"spec.affinity.{kind}.{term}.namespaceSelector.{part}": part
        for kind, term, part in product(
            ("podAffinity", "podAntiAffinity"),
            (f"{_REQUIRED}[]", f"{_PREFERRED}[].podAffinityTerm"),
            ("matchLabels", "matchExpressions[].key"),
        )
    }
)
_OF_NAMESPACES = frozenset(("namespaces", "namespaceSelector", "matchLabelKeys", "mismatchLabelKeys"))


def namespace_labels(pod: Obj) -> frozenset[str]:
    """The labels of namespaces that a pod selects others by, as far as their pods have to carry them."""
    if not pod["spec"].get("affinity"):
        return frozenset()
    keys: set[Any] = set()
    for part, value in _OVER_NAMESPACES.found(pod):
        keys.update(value if part == "matchLabels" and isinstance(value, dict) else [value])
    return frozenset(key for key in keys if isinstance(key, str) and key != podselectors.NAME_OF_NAMESPACE)


def host_affinity(affinity: Obj, tenant: Obj, scope: Scope) -> Obj:
    """Affinity to nodes passes. A union of listed and selected namespaces takes two terms where terms are
    summed (preferred) or must each hold (required anti-affinity); required affinity needs one."""
    host = dict(affinity)
    for kind in ("podAffinity", "podAntiAffinity"):
        if kind not in affinity:
            continue
        host[kind] = terms = dict(affinity[kind])
        if required := terms.get(_REQUIRED):
            one = kind == "podAffinity"
            terms[_REQUIRED] = [
                found for term in required for found in _host_terms(term, tenant, scope, one=one)
            ]
        if preferred := terms.get(_PREFERRED):
            terms[_PREFERRED] = [
                {**term, "podAffinityTerm": found}
                for term in preferred
                for found in _host_terms(term["podAffinityTerm"], tenant, scope)
            ]
    return host


def host_spread(constraints: list[Obj], tenant: Obj, scope: Scope) -> list[Obj]:
    """Constraints count the pods of the pod's own namespace."""
    own = listed([tenant["metadata"]["namespace"]])
    return [_narrowed(constraint, own, tenant, scope) for constraint in constraints]


def _host_terms(term: Obj, tenant: Obj, scope: Scope, *, one: bool = False) -> list[Obj]:
    """Translates one term into one or two mutually exclusive host terms."""
    names: list[str] = term.get("namespaces") or []
    selector: Obj | None = term.get("namespaceSelector")
    if selector is None:
        wanted = [listed(names or [tenant["metadata"]["namespace"]])]
    elif not is_selective(selector):
        wanted = [{}]
    elif not names:
        wanted = [selected(selector)]
    elif one:
        wanted = [listed(sorted({*names, *_matching(selector, scope)}))]
    else:
        matched = selected(selector)
        others = requirement(marks.NAMESPACE, "NotIn", sorted(names))
        matched["matchExpressions"] = [*matched.get("matchExpressions", ()), others]
        wanted = [listed(names), matched]
    return [_narrowed(term, namespaces, tenant, scope) for namespaces in wanted]


def _matching(selector: Obj, scope: Scope) -> list[str]:
    """The tenant namespaces that match now. Terms of required affinity must all hold at one place, so a union
    cannot be two terms, and one selector has no "or": a namespace made or labelled later is not seen."""
    return [
        namespace["metadata"]["name"]
        for namespace in scope.tenant.indexed(apis.NAMESPACES, "all", "")
        if matches(selector, labels_of(namespace))
    ]


def _narrowed(term: Obj, namespaces: Obj, tenant: Obj, scope: Scope) -> Obj:
    """The term without what it says of namespaces, its selector within `namespaces` of this tenant."""
    host = {field: value for field, value in term.items() if field not in _OF_NAMESPACES}
    selector = term.get("labelSelector")
    if selector is None:  # it matches no pod, while a selector with marks would match some
        return host
    merged = _from_label_keys(term, selector, tenant)
    host["labelSelector"] = podselectors.narrowed(selector, namespaces, scope, *merged)
    return host


def _from_label_keys(term: Obj, selector: Obj, tenant: Obj) -> list[Obj]:
    """What matchLabelKeys and mismatchLabelKeys require, where the tenant's API server has not said so.

    API servers merge these keys into the selector on create (pkg/registry/core/pod/strategy.go; for spread
    constraints since v1.34, before that the scheduler does). The host's would merge them a second time and
    refuse the pod for it, so the keys stay behind and the requirement goes.
    """
    labels = labels_of(tenant)
    there = {(each["key"], each["operator"]) for each in selector.get("matchExpressions") or ()}
    return [
        requirement(key, operator, [labels[key]])
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field) or ()
        if key in labels and (key, operator) not in there
    ]
