"""`vcp status`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import click
import msgspec

from kube import apis
from kube import errors as kube
from kube.objects import Obj
from vcp import diagnosis, inventory, output
from vcp.session import Session, complete_names, on_host

_RENEW_BEFORE = timedelta(days=30)


class Usage(msgspec.Struct, frozen=True):
    """Of one entry of the workload namespace's ResourceQuota."""

    used: str
    hard: str


class Status(msgspec.Struct, frozen=True):
    """What `-o json` prints."""

    tenant: inventory.Tenant
    endpoints: tuple[str, ...]
    restarts: dict[str, int]  # pod -> restarts of all its containers
    quota: dict[str, Usage]  # what is counted -> how much of it
    reasons: tuple[str, ...]
    next_step: str


@click.command("status")
@click.argument("name", shell_complete=complete_names)
@on_host
async def command(session: Session, *, name: str) -> None:
    """Show the state of tenant NAME, its components, endpoints and certificates, and what to do next."""
    tenant = await session.tenant(name)
    pods = await _list(session, apis.PODS, tenant.namespace)
    claims = await _list(session, apis.PERSISTENT_VOLUME_CLAIMS, tenant.namespace)
    events = await _list(session, apis.EVENTS, tenant.namespace, labels="", fields="type=Warning")
    services = await _list(session, apis.SERVICES, tenant.namespace)
    place = tenant.workload_namespace or tenant.namespace
    quotas = await _list(session, apis.RESOURCE_QUOTAS, place)
    leases = await _list(session, apis.LEASES, tenant.namespace)
    reasons = (*diagnosis.reasons(pods, claims, events), *diagnosis.pressure(leases))
    now = datetime.now(UTC)
    status = Status(
        tenant=tenant,
        endpoints=tuple(text for service in services for text in endpoints(service)),
        restarts={pod["metadata"]["name"]: _restarts(pod) for pod in pods},
        quota=usage(quotas),
        reasons=reasons,
        next_step=next_step(tenant, reasons, now),
    )
    if session.output == "name":
        output.data(f"tenant/{name}")
    elif session.output == "table":
        output.data(_text(status, now))
    else:
        output.data(output.encode(status, session.output))


async def _list(
    session: Session,
    resource: apis.ApiResource,
    namespace: str,
    *,
    labels: str = inventory.SELECTOR,
    fields: str = "",
) -> Sequence[Obj]:
    """Nothing where the user may not look: the rest of the answer is still worth having."""
    try:
        return await session.host.list(resource, namespace, labels=labels, fields=fields)
    except kube.ForbiddenError:
        output.say(f"You may not list {resource.plural} in {namespace}; the answer goes without them.")
        return []


def usage(quotas: Sequence[Obj]) -> dict[str, Usage]:
    """Pure: what each quota of vcp's counts, before the host has counted it as used 0."""
    return {
        key: Usage(((quota.get("status") or {}).get("used") or {}).get(key, "0"), hard)
        for quota in quotas
        for key, hard in (quota["spec"].get("hard") or {}).items()
    }


def endpoints(service: Obj) -> list[str]:
    """Pure: where a Service can be reached, e.g. `api: load balancer 192.0.2.1:443`."""
    name, spec = service["metadata"]["name"], service["spec"]
    ports = spec.get("ports") or ()
    address = spec.get("clusterIP", "None")
    found = [f"{name}: cluster IP {address}:{port['port']}" for port in ports if address != "None"]
    if spec.get("type") in {"NodePort", "LoadBalancer"}:
        found += [f"{name}: node port {port['nodePort']}" for port in ports if port.get("nodePort")]
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    for ingress in balancer.get("ingress") or ():
        address = ingress.get("hostname") or ingress.get("ip")
        found += [f"{name}: load balancer {address}:{port['port']}" for port in ports]
    return list(dict.fromkeys(found))  # a port that is open for UDP and TCP is one place


def next_step(tenant: inventory.Tenant, reasons: Sequence[str], now: datetime) -> str:
    """Pure: the one thing to do next."""
    expiry = tenant.certificates_expire
    match tenant.state:
        case "Terminating":
            return f"wait, or `vcp delete {tenant.name}` to see what blocks"
        case "Provisioning":
            return f"`vcp create {tenant.name}` continues where the last create stopped"
        case "NotReady" if "is scaled to 0" in tenant.reason:
            return f"`vcp create {tenant.name}` starts it again"
        case "NotReady":
            cause = "the reasons above" if reasons else "its logs"
            return f"look at {cause}; `vcp logs {tenant.name} api|etcd|syncer|dns`"
    if expiry and expiry - now < _RENEW_BEFORE:
        return f"`vcp create {tenant.name}` renews the certificates"
    return f"`vcp connect {tenant.name}`"


def _restarts(pod: Obj) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return sum(status.get("restartCount", 0) for status in statuses)


def _text(status: Status, now: datetime) -> str:
    tenant, expiry = status.tenant, status.tenant.certificates_expire
    lines = [
        f"tenant        {tenant.name}",
        f"state         {tenant.state}" + (f": {tenant.reason}" if tenant.reason else ""),
        f"namespaces    {tenant.namespace}, {tenant.workload_namespace or tenant.namespace} (workloads)",
        f"distro        {tenant.distro} {tenant.version}",
        f"age           {output.age(now - tenant.created)}",
        *([f"expires       at {tenant.expires:%Y-%m-%d %H:%M:%S} UTC"] if tenant.expires else []),
        f"certificates  until {expiry:%Y-%m-%d}" if expiry else "certificates  unknown",
        *(f"endpoint      {text}" for text in status.endpoints),
        *([f"quota         {_quota(status.quota)}"] if status.quota else []),
        "",
        output.table([_component(one, status.restarts) for one in tenant.components]),
        "",
        *(f"! {reason}" for reason in status.reasons),
        f"next: {status.next_step}",
    ]
    return "\n".join(lines)


def _quota(found: Mapping[str, Usage]) -> str:
    return ", ".join(f"{key} {one.used}/{one.hard}" for key, one in found.items())


def _component(component: inventory.Component, restarts: Mapping[str, int]) -> dict[str, str]:
    mine = (count for pod, count in restarts.items() if pod.startswith(f"{component.name}-"))
    return {
        "component": component.name,
        "ready": f"{component.ready}/{component.desired}",
        "restarts": str(sum(mine)),
        "images": ", ".join(component.images),
    }
