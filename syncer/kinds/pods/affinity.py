"""Affinity between pods, where all namespaces of all tenants are one namespace of the host.

Each selector is narrowed to this tenant's pods, and what a term says of namespaces becomes requirements on
the labels that name a host pod's tenant namespace and carry that namespace's labels.
"""

from collections.abc import Mapping
from typing import Any

from kube import apis
from kube.objects import Labels, Obj, labels_of
from syncer.core import marks
from syncer.core.scope import Scope
from syncer.kinds.pods.metadata import namespace_label_key

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_OF_NAMESPACES = frozenset(("namespaces", "namespaceSelector", "matchLabelKeys", "mismatchLabelKeys"))


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
    own = _listed([tenant["metadata"]["namespace"]])
    return [_narrowed(constraint, own, tenant, scope) for constraint in constraints]


def matches(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Whether a label selector, which is not nil, matches (apimachinery, LabelSelectorAsSelector)."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for requirement in selector.get("matchExpressions") or ():
        key, operator = requirement["key"], requirement["operator"]
        held = key in labels
        if operator in ("In", "NotIn"):
            held = held and labels[key] in (requirement.get("values") or ())
        if held == (operator in ("NotIn", "DoesNotExist")):
            return False
    return True


def _host_terms(term: Obj, tenant: Obj, scope: Scope, *, one: bool = False) -> list[Obj]:
    """Translates one term into one or two mutually exclusive host terms."""
    names: list[str] = term.get("namespaces") or []
    selector: Obj | None = term.get("namespaceSelector")
    if selector is None:
        wanted = [_listed(names or [tenant["metadata"]["namespace"]])]
    elif not _is_selective(selector):
        wanted = [{}]
    elif not names:
        wanted = [_selected(selector)]
    elif one:
        wanted = [_listed(sorted({*names, *_matching(selector, scope)}))]
    else:
        selected = _selected(selector)
        others = _requirement(marks.NAMESPACE, "NotIn", sorted(names))
        selected["matchExpressions"] = [*selected.get("matchExpressions", ()), others]
        wanted = [_listed(names), selected]
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
    labels = {
        **(selector.get("matchLabels") or {}),
        **namespaces.get("matchLabels", {}),
        marks.TENANT: scope.name,
    }
    expressions = [
        *(selector.get("matchExpressions") or ()),
        *_from_label_keys(term, selector, tenant),
        *namespaces.get("matchExpressions", ()),
    ]
    host["labelSelector"] = {"matchLabels": labels}
    if expressions:
        host["labelSelector"]["matchExpressions"] = expressions
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
        _requirement(key, operator, [labels[key]])
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field) or ()
        if key in labels and (key, operator) not in there
    ]


def _is_selective(selector: Obj) -> bool:
    return bool(selector.get("matchLabels") or selector.get("matchExpressions"))


def _listed(names: list[str]) -> Obj:
    if len(names) == 1:
        return {"matchLabels": {marks.NAMESPACE: names[0]}}
    return {"matchExpressions": [_requirement(marks.NAMESPACE, "In", sorted(names))]}


def _selected(selector: Obj) -> Obj:
    labels = (selector.get("matchLabels") or {}).items()
    return {
        "matchLabels": {namespace_label_key(key): value for key, value in labels},
        "matchExpressions": [
            {**each, "key": namespace_label_key(each["key"])}
            for each in selector.get("matchExpressions") or ()
        ],
    }


def _requirement(key: str, operator: str, values: list[str]) -> Obj:
    return {"key": key, "operator": operator, "values": values}
