"""The reaper: a CronJob that deletes expired tenants, and no more rights than that takes."""

from kube.objects import Obj
from vcp import layout
from vcp.render.manifests import documents

NAME = "vcp-reaper"


def reaper(namespace: str, image: str, schedule: str) -> dict[str, Obj]:
    """All its objects by kind, in the order of application: the limits stand before what they limit.

    None is marked as a tenant's, so no deletion of a tenant takes it along."""
    found = {obj["kind"]: obj for obj in documents("reaper")}
    for obj in found.values():
        meta = obj["metadata"]
        if "namespace" in meta:
            meta["namespace"] = namespace
        meta["labels"] = {"app.kubernetes.io/name": NAME, layout.PART_OF: "vcp", layout.MANAGED_BY: "vcp"}
    found["ClusterRoleBinding"]["subjects"][0]["namespace"] = namespace
    who = f"system:serviceaccount:{namespace}:{NAME}"
    found["ValidatingAdmissionPolicy"]["spec"]["matchConditions"] = [
        {"name": "the-reaper", "expression": f"request.userInfo.username == '{who}'"}
    ]
    job = found["CronJob"]["spec"]
    job["schedule"] = schedule
    job["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["image"] = image
    first = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    return {kind: found[kind] for kind in (*first, *(kind for kind in found if kind not in first))}
