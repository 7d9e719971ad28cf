"""Puts the reaper onto the host and takes it off again."""

import contextlib

from kube import apis
from kube import errors as kube
from kube.apis import ApiResource
from kube.client import Client
from vcp import layout
from vcp.errors import NotFoundError, RefusedError
from vcp.render import reaper

_ADMISSION = "admissionregistration.k8s.io"
# Kinds that only the reaper is made of, beside those that tenants are made of, too.
_RESOURCES = {
    "ValidatingAdmissionPolicy": ApiResource(
        _ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False
    ),
    "ValidatingAdmissionPolicyBinding": ApiResource(
        _ADMISSION,
        "v1",
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        namespaced=False,
    ),
    "ServiceAccount": apis.SERVICE_ACCOUNTS,
    "ClusterRole": apis.CLUSTER_ROLES,
    "ClusterRoleBinding": apis.CLUSTER_ROLE_BINDINGS,
    "CronJob": ApiResource("batch", "v1", "cronjobs", "CronJob"),
}


async def install(host: Client, namespace: str, image: str, schedule: str) -> None:
    """Applies everything. Raises RefusedError if a reaper is at work from another namespace: the two would
    share the cluster-scoped objects."""
    with contextlib.suppress(NotFoundError):
        there = await place(host)
        if there != namespace:
            hint = f"`vcp reaper uninstall` removes it, `-n {there}` changes it"
            raise RefusedError(f"the reaper is installed in namespace {there}", hint=hint)
    made = {"app.kubernetes.io/name": reaper.NAME, layout.MANAGED_BY: "vcp", layout.MADE: "true"}
    made["pod-security.kubernetes.io/enforce"] = "restricted"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": made}}
    with contextlib.suppress(kube.AlreadyExistsError):
        await host.create(apis.NAMESPACES, "", body, field_manager=layout.FIELD_MANAGER)
    for kind, obj in reaper.reaper(namespace, image, schedule).items():
        where = obj["metadata"].get("namespace", "")
        await host.apply(_RESOURCES[kind], where, obj, field_manager=layout.FIELD_MANAGER, force=True)


async def uninstall(host: Client) -> str:
    """Deletes everything, the rights first; returns the namespace. Raises NotFoundError if there is none."""
    namespace = await place(host)
    kinds = ("CronJob", "ServiceAccount", "ClusterRole", "ValidatingAdmissionPolicyBinding")
    # The binding last, because it says where the rest is.
    for kind in (*kinds, "ValidatingAdmissionPolicy", "ClusterRoleBinding"):
        resource = _RESOURCES[kind]
        with contextlib.suppress(kube.NotFoundError):
            where = namespace if resource.namespaced else ""
            await host.delete(resource, where, reaper.NAME, propagation="Background")
    with contextlib.suppress(kube.NotFoundError):
        labels = (await host.get(apis.NAMESPACES, "", namespace))["metadata"].get("labels") or {}
        if layout.MADE in labels and labels.get("app.kubernetes.io/name") == reaper.NAME:
            await host.delete(apis.NAMESPACES, "", namespace)
    return namespace


async def place(host: Client) -> str:
    """Where the reaper is installed. Raises NotFoundError if it is not."""
    try:
        binding = await host.get(apis.CLUSTER_ROLE_BINDINGS, "", reaper.NAME)
    except kube.NotFoundError as error:
        hint = "`vcp reaper install` puts it there"
        raise NotFoundError("no reaper is installed on this host", hint=hint) from error
    namespace: str = binding["subjects"][0]["namespace"]
    return namespace
