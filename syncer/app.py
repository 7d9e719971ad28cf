"""Puts a syncer together from its settings and runs it until it is told to stop."""

import asyncio
import base64
import contextlib
import dataclasses
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path

from kube import apis, auth, errors
from kube.client import Client
from kube.objects import uid_of
from syncer import cyclegc
from syncer.core import marks
from syncer.core.scope import Scope
from syncer.engine.leadership import Leadership
from syncer.engine.manager import Manager, Parts
from syncer.engine.metrics import Metrics
from syncer.kinds.registry import registry
from syncer.serve import kubelet, metricsapi, probes, webhook
from syncer.serve.certificates import ServingTls
from syncer.serve.podlookup import PodLookup
from syncer.serve.requestmetrics import RequestMetrics
from syncer.settings import Settings

_log = logging.getLogger(__name__)
_CONNECTIONS = 128
_WRITE_LIMIT = 5.0  # seconds: what is in flight when the lead is lost ends before another may take it
_PAGE_LIMIT = 30.0  # seconds: a busy API server takes its time, and the next attempt would start anew
ANCHOR = "vcp-anchor"


def tenant_access(settings: Settings) -> auth.Access:
    """The tenant's API, by the syncer's client certificate."""
    folder = Path(settings.pki)
    return auth.Access(
        settings.server,
        ca=folder / "server-ca.crt",
        certificate=folder / "syncer.crt",
        key=folder / "syncer.key",
    )


def main(settings: Settings, kubeconfig: str, listener: socket.socket) -> None:
    """Until it is told to stop by a signal. Without a kubeconfig the host is the cluster around it."""

    async def until_stopped() -> None:
        stop = asyncio.Event()
        stop_on_signals(stop)
        await run(settings, _host(kubeconfig), listener, stop)

    try:
        asyncio.run(until_stopped())
    except errors.ConfigError as error:
        sys.exit(f"syncer: {error}")


def _host(kubeconfig: str) -> auth.Access:
    if not kubeconfig:
        return auth.in_cluster()
    from kube.kubeconfig import find  # noqa: PLC0415  in a pod nobody needs it

    return find(kubeconfig)


async def run(
    settings: Settings, host_access: auth.Access, listener: socket.socket, stop: asyncio.Event
) -> None:
    """Returns after a graceful drain once `stop` is set; probes are answered on `listener`."""
    async with (
        _client(tenant_access(settings)) as tenant,
        _client(host_access) as host,
    ):
        metrics = Metrics()
        metrics.build.labels(version("vcp")).set(1)
        known = scope(settings, await _anchor(host, settings.namespace, stop))
        identity = os.environ.get("POD_NAME") or socket.gethostname()
        # By these `vcp delete` finds it in a namespace that stays.
        labels = {"app.kubernetes.io/part-of": "vcp", marks.TENANT: settings.name}
        leadership = Leadership(host, settings.control_namespace, identity, labels=labels)
        parts = Parts(
            {"tenant": tenant, "host": host},
            registry(settings.sync),
            known,
            leadership,
            metrics,
            time.time,
            settings.workers,
        )
        manager = Manager(parts)

        async with _serving(settings, manager, tenant, host, listener, stop):
            _log.info("started", extra={"tenant": settings.name, "identity": identity})
            collecting = asyncio.create_task(cyclegc.collect_once(manager.listed()), name="garbage")
            try:
                await manager.run(stop)
            finally:
                collecting.cancel()
    _log.info("stopped")


def _client(access: auth.Access) -> Client:
    return Client(access, timeout=_WRITE_LIMIT, page_timeout=_PAGE_LIMIT, connections=_CONNECTIONS)


@contextlib.asynccontextmanager
async def _serving(
    settings: Settings,
    manager: Manager,
    tenant: Client,
    host: Client,
    listener: socket.socket,
    stop: asyncio.Event,
) -> AsyncIterator[None]:
    """All that the syncer answers, until the body ends."""
    pki, metrics, scope = Path(settings.pki), manager.metrics, manager.scope

    def exposition() -> bytes:
        manager.measure()
        return metrics.text()

    def measured(endpoint: str) -> RequestMetrics:
        return RequestMetrics(endpoint, metrics.served, metrics.serving)

    def current() -> Scope:
        return dataclasses.replace(scope, now=time.time())

    endpoint = kubelet.Kubelet(ServingTls(pki), PodLookup(scope, tenant, host), metrics.streams)
    hook = webhook.Webhook(host, current, measured("webhook"), manager.pacer.grants)
    api = metricsapi.MetricsApi(scope, tenant, host, measured("metrics-api"))
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(probes.serving(listener, manager.listed, manager.lagging, exposition))
        await stack.enter_async_context(endpoint.serving(settings.kubelet_port, stop))
        await stack.enter_async_context(webhook.serving(settings.webhook_port, pki, hook))
        if settings.metrics_address:
            await stack.enter_async_context(metricsapi.serving(settings.metrics_port, pki, api))
        yield


async def _anchor(host: Client, namespace: str, stop: asyncio.Event) -> str:
    """The uid of the ConfigMap that owns every host object; waits for a host API that is away."""
    while True:
        try:
            return uid_of(await host.get(apis.CONFIG_MAPS, namespace, ANCHOR))
        except errors.KubeError as error:
            if not error.retryable and not isinstance(error, errors.NotFoundError | errors.ForbiddenError):
                raise
            _log.warning("anchor not read", extra={"error": str(error)})
            try:
                async with asyncio.timeout(1.0):
                    await stop.wait()
                raise errors.ConfigError("stopped before the host was reached")
            except TimeoutError:
                continue


def scope(settings: Settings, anchor: str) -> Scope:
    """What plans know: each setting that a field of the scope is named after, so that none is forgotten."""
    fields = {field.name for field in dataclasses.fields(Scope)}
    said = {name: getattr(settings, name) for name in settings.__struct_fields__ if name in fields}
    return Scope(**said, anchor=anchor, webhook_ca=_authority(settings))


def _authority(settings: Settings) -> str:
    """Whom the tenant's API server is to trust for the webhook and the metrics API."""
    return base64.b64encode((Path(settings.pki) / "server-ca.crt").read_bytes()).decode()


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT drain; a second one ends the process at once, as its default does."""
    loop = asyncio.get_running_loop()

    def first(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first, number)
