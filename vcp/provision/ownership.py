"""Whose a namespace is. A record alone proves nothing: anyone with rights on Secrets of a namespace can write
one that names the namespaces of others.

The labels of a Namespace are set by those who may make it, and so are the truth; in a namespace that was
given to a tenant, the anchor is, which only those with rights in it can write.
"""

import contextlib

from kube import apis
from kube import errors as kube
from kube.client import Client
from kube.objects import Labels, labels_of
from vcp import layout
from vcp.errors import RefusedError


async def is_made(host: Client, name: str, tenant: str, control: str) -> bool:
    """Whether vcp made the namespace for the tenant whose record is in the namespace `control`.

    Raises RefusedError if it is another tenant's."""
    labels = await _labels(host, name)
    if labels.get(layout.TENANT, tenant) != tenant:
        raise _refusal(name, tenant, control, labels)
    if layout.MADE not in labels:
        await check_given(host, name, tenant, control)
        return False
    if layout.TENANT not in labels or not await _leads_to(host, labels, name, tenant, control):
        raise _refusal(name, tenant, control, labels)
    return True


async def check_given(host: Client, name: str, tenant: str, control: str) -> None:
    """Raises RefusedError if something of another tenant is in a namespace that vcp did not make."""
    with contextlib.suppress(kube.NotFoundError, kube.ForbiddenError):
        labels = labels_of(await host.get(apis.CONFIG_MAPS, name, layout.ANCHOR))
        if labels.get(layout.TENANT) != tenant or labels.get(layout.CONTROL, control) != control:
            raise _refusal(name, tenant, control, labels)
    with contextlib.suppress(kube.NotFoundError, kube.ForbiddenError):
        labels = labels_of(await host.get(apis.SECRETS, name, layout.RECORD))
        if labels.get(layout.TENANT, tenant) != tenant:
            raise _refusal(name, tenant, control, labels)


async def _leads_to(host: Client, labels: Labels, name: str, tenant: str, control: str) -> bool:
    """A namespace of an earlier version does not name the other; then that one has to bear the same mark."""
    if named := labels.get(layout.CONTROL):
        return named == control
    return name == control or (await _labels(host, control)).get(layout.TENANT) == tenant


async def _labels(host: Client, namespace: str) -> Labels:
    try:
        return labels_of(await host.get(apis.NAMESPACES, "", namespace))
    except (kube.NotFoundError, kube.ForbiddenError):
        return {}


def _refusal(name: str, tenant: str, control: str, labels: Labels) -> RefusedError:
    owner, place = labels.get(layout.TENANT, ""), labels.get(layout.CONTROL, "")
    of = f"tenant {owner!r}" + (f" in namespace {place}" if place else "")
    return RefusedError(
        f"namespace {name} is of {of}, not of tenant {tenant!r} in namespace {control}",
        hint=f"see who has written the Secret {layout.RECORD} in namespace {control}",
    )
