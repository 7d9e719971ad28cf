"""What the webhook for Services is, and what it answers: the addresses that the host has allotted.

Why so: docs/decisions/0014-services.md.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from kube import patches
from kube.objects import Key, Obj, annotations_of, labels_of
from syncer.core import marks
from syncer.core.scope import Scope
from syncer.kinds.services import allocation, builtin
from syncer.kinds.services.spec import OWNED, is_headless, type_of

NAME = "vcp-services"
PATH = "/services"
PORT = 8443
SYNCER = "vcp:syncer"  # the user that the syncer is in the tenant
_SECONDS = 5
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ALLOTTED = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort")


def configuration(scope: Scope) -> Obj:
    """The MutatingWebhookConfiguration; every default is written out, so that it compares."""
    is_fixed = " || ".join(
        f"(request.namespace == '{key.namespace}' && request.name == '{key.name}')"
        for key in sorted(builtin.KEYS)
    )
    webhook = {
        "name": "services.vcp.dev",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {
            "url": f"https://syncer.{scope.control_namespace}.svc:{PORT}{PATH}",
            "caBundle": scope.webhook_ca,
        },
        "failurePolicy": "Ignore",
        "matchConditions": [
            {"name": "not-by-the-syncer", "expression": f"request.userInfo.username != '{SYNCER}'"},
            {"name": "not-of-the-control-plane", "expression": f"!({is_fixed})"},
        ],
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "reinvocationPolicy": "Never",
        "rules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["services"],
                "scope": "Namespaced",
            }
        ],
        "sideEffects": "NoneOnDryRun",
        "timeoutSeconds": _SECONDS,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/managed-by": "vcp"}},
        "webhooks": [webhook],
    }


def key_of(request: Obj) -> Key | None:
    """The Service that an AdmissionRequest is about; None if it has no name that a Service may have. A
    `generateName` is completed after admission, and no host Service can be made for a name that nobody
    knows."""
    names = (request.get("namespace"), request["object"]["metadata"].get("name"))
    namespace, name = (text if isinstance(text, str) and _LABEL.fullmatch(text) else "" for text in names)
    return Key(namespace, name) if namespace and name else None


def needs_answer(service: Obj, scope: Scope) -> bool:
    """Whether the host has anything to allot."""
    if is_headless(service):
        return False
    return type_of(service) != "ExternalName" or scope.sync.services.external_names


def pending(service: Obj, key: Key, now: float, scope: Scope) -> Obj:
    """The host Service of a tenant Service that is not stored yet, with what it asks for. Raises Refused."""
    metadata = {**service["metadata"], "name": key.name, "namespace": key.namespace, "uid": ""}
    host, *_ = allocation.bodies_of({**service, "metadata": metadata}, scope)
    annotations = host["metadata"]["annotations"]
    del annotations[marks.UID]
    annotations[marks.PENDING] = str(int(now))
    return host


def is_pending(host: Obj) -> bool:
    return marks.PENDING in annotations_of(host)


def is_ours(there: Obj, wanted: Obj) -> bool:
    """Whether the host Service that is there was made for the same key, and is not a stored Service's."""
    ours = labels_of(wanted)
    same = all(labels_of(there).get(label) == ours[label] for label in (marks.TENANT, marks.NAMESPACE))
    return is_pending(there) and same and marks.key_of(there) == marks.key_of(wanted)


def changes(there: Obj, wanted: Obj) -> dict[str, Any]:
    """Makes a pending Service of an earlier request serve this one; what is allotted already stays."""
    known = {port.get("name", ""): port.get("nodePort") for port in there["spec"].get("ports") or ()}
    spec = {field: wanted["spec"][field] for field in OWNED if field in wanted["spec"]}
    if ports := spec.get("ports"):
        spec["ports"] = [
            port | ({"nodePort": number} if (number := known.get(port.get("name", ""))) else {})
            for port in ports
        ]
    defaulted = {field: value for field, value in there["spec"].items() if field in spec}
    annotations = {marks.PENDING: annotations_of(wanted)[marks.PENDING]}
    return {"metadata": {"annotations": annotations}, "spec": patches.merge_patch(defaulted, spec)}


def json_patch(service: Obj, host: Obj) -> list[dict[str, Any]]:
    """RFC 6902: the allotted fields of the host Service that the tenant's lacks."""
    return list(_operations(service["spec"], host["spec"]))


def _operations(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for field in _ALLOTTED:
        if theirs.get(field) and ours.get(field) != theirs[field]:
            yield {"op": "add", "path": f"/spec/{field}", "value": theirs[field]}
    ports = theirs.get("ports") or []
    for index, port in enumerate(ours.get("ports") or ()):
        number = ports[index].get("nodePort") if index < len(ports) else None
        if number and port.get("nodePort") != number:
            yield {"op": "add", "path": f"/spec/ports/{index}/nodePort", "value": number}
