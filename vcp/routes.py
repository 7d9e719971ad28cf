"""Ways into a tenant's API server from where we are, best first, and proof that one works."""

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

from kube import apis, auth, portforward, requests
from kube import errors as kube
from kube.client import Client
from kube.objects import Obj
from vcp import layout

SERVICE = "api"
_PROBE_LIMIT = 3.0  # seconds; an address that cannot be reached is mostly silent


class Route(NamedTuple):
    kind: str
    server: str
    server_name: str = ""  # what the serving certificate says where it does not name the address


def candidates(service: Obj, nodes: Iterable[Obj], server_name: str) -> list[Route]:
    """Pure: the addresses that the Service and the nodes promise, in order of preference."""
    spec, found = service["spec"], []
    port = spec["ports"][0]
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    for ingress in balancer.get("ingress") or ():
        address = ingress.get("hostname") or ingress.get("ip")
        found.append(Route("load balancer", _url(address, port["port"]), server_name))
    if port.get("nodePort") and spec["type"] == "NodePort":
        addresses = sorted(_addresses(nodes), key=lambda pair: pair[0] != "ExternalIP")
        found += [Route("node port", _url(host, port["nodePort"]), server_name) for _, host in addresses[:4]]
    if spec.get("clusterIP") not in {None, "", "None"}:
        found.append(Route("cluster IP", _url(spec["clusterIP"], port["port"]), server_name))
    return found


async def direct(host: Client, namespace: str, access: auth.Access) -> Route | None:
    """The best address that answers from here with the tenant's certificate. `access` says who we are; its
    server does not matter."""
    service = await host.get(apis.SERVICES, namespace, SERVICE)
    nodes: list[Any] = []
    if service["spec"]["type"] == "NodePort":
        with contextlib.suppress(kube.ForbiddenError):
            nodes = await host.list(apis.NODES)
    promised = candidates(service, nodes, f"{SERVICE}.{namespace}.svc")
    answers = await asyncio.gather(*(answers_at(access, route) for route in promised))
    return next((route for route, answered in zip(promised, answers, strict=True) if answered), None)


@contextlib.asynccontextmanager
async def route_in(
    host: Client, namespace: str, access: auth.Access, *, local_port: int = 0
) -> AsyncIterator[Route]:
    """The direct way, else a port-forward through the host API that lasts as long as the body."""
    if route := await direct(host, namespace, access):
        yield route
        return

    async def pick() -> tuple[str, str]:
        return namespace, await ready_pod(host, namespace)

    async with portforward.forwarded(host, pick, layout.API_PORT, local_port=local_port) as port:
        yield Route("port-forward", _url("127.0.0.1", port))


async def answers_at(access: auth.Access, route: Route) -> bool:
    """Whether the tenant's API server itself answers there: its certificate is verified, and it knows us."""
    try:
        async with Client(at(access, route), timeout=_PROBE_LIMIT, attempts=1) as client:
            await client.read(requests.raw("/version"))
    except kube.KubeError:
        return False
    return True


def at(access: auth.Access, route: Route) -> auth.Access:
    return dataclasses.replace(access, server=route.server, server_name=route.server_name, proxy="")


async def ready_pod(host: Client, namespace: str) -> str:
    """One of the ready API pods. Raises kube.NoPodError if there is none."""
    pods = await host.list(apis.PODS, namespace, labels=f"{layout.COMPONENT}=api")
    names: list[str] = [pod["metadata"]["name"] for pod in pods if _is_ready(pod)]
    if not names:
        raise kube.NoPodError(f"no API server pod in namespace {namespace} is ready")
    return random.choice(names)  # noqa: S311  spreads load, guards nothing


def _is_ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _addresses(nodes: Iterable[Obj]) -> Iterable[tuple[str, str]]:
    for node in nodes:
        for address in (node.get("status") or {}).get("addresses") or ():
            if address["type"] in {"ExternalIP", "InternalIP"}:
                yield address["type"], address["address"]


def _url(host: str, port: int) -> str:
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
