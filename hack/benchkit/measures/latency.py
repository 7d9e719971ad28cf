"""One pod at a time, in turn on the host and through a tenant: what a tenant adds, and where.

The host's side of the tenant's pods is watched by the same process, so all steps have one clock.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from benchkit import exposition, generator, pods, stats
from benchkit.bench import Bench
from benchkit.exposition import Sample
from benchkit.load import Seen
from benchkit.measures import Size
from kube.client import Client

_DEADLINE = 120.0
_STEPS = ("answered", "bound", "running", "ready")
_API = ("apiserver_request_duration_seconds_sum", "apiserver_request_duration_seconds_count")
_SYNCER = "vcp_syncer_"


async def measure(bench: Bench, size: Size) -> dict[str, Any]:
    count = size.pods or (300 if size.full else 200)
    await bench.have_fakes(count)
    (tenant,) = await bench.have_tenants(1)
    (namespace,) = await bench.have_namespaces(1)
    targets = [bench.direct(namespace, count=count), bench.through(tenant, observed=True, count=count)]
    await bench.quiet()
    async with generator.running(targets) as load, bench.tenant(tenant) as client:
        before = await _told(bench, client, tenant)
        answer = await load.serial(pods.fake(), deadline=_DEADLINE)
        after = await _told(bench, client, tenant)
    host, api, syncer = (exposition.grown(*pair) for pair in zip(before, after, strict=True))
    directly, through = answer.seen[namespace], answer.seen[tenant]
    return {
        "pods": len(generator.times([through], "ready")),
        "complete": answer.complete,
        "failed": answer.failed,
        "direct": {step: stats.percentiles(generator.durations([directly], "sent", step)) for step in _STEPS},
        "tenant": {step: stats.percentiles(generator.durations([through], "sent", step)) for step in _STEPS},
        "gone": {
            "direct": stats.percentiles(generator.durations([directly], "deleting", "gone")),
            "tenant": stats.percentiles(generator.durations([through], "deleting", "gone")),
        },
        "parts": _parts(directly, through),
        "servers": _servers(host, api, syncer),
        "values": {
            "direct": [round(one, 4) for one in generator.durations([directly], "sent", "running")],
            "tenant": [round(one, 4) for one in generator.durations([through], "sent", "running")],
        },
    }


async def _told(bench: Bench, client: Client, tenant: str) -> list[dict[Sample, float]]:
    """The metrics of the host's API server, the tenant's, and the syncer."""
    servers = [await bench.api_metrics(one, *_API) for one in (bench.host, client)]
    return [*servers, await bench.syncer(tenant)]


def _parts(directly: Seen, through: Seen) -> dict[str, dict[str, float]]:
    """Where a tenant's pod spends its time, as percentiles of each stretch of the way."""
    both = [(steps, through.host.get(name, {})) for name, steps in through.steps.items()]
    whole = [pair for pair in both if "running" in pair[0] and {"made", "running"} <= pair[1].keys()]
    stretches: dict[str, Sequence[float]] = {
        "direct: create to Running": generator.durations([directly], "sent", "running"),
        "tenant API: create to its answer": [own["answered"] - own["sent"] for own, _ in whole],
        "way there: answer to host pod": [host["made"] - own["answered"] for own, host in whole],
        "host: pod to Running": [host["running"] - host["made"] for _, host in whole],
        "way back: Running to Running in the tenant": [
            own["running"] - host["running"] for own, host in whole
        ],
    }
    return {name: stats.percentiles(values) for name, values in stretches.items()}


def _servers(
    host: Mapping[Sample, float], api: Mapping[Sample, float], syncer: Mapping[Sample, float]
) -> dict[str, float]:
    """Means in seconds, as the servers and the syncer count them themselves."""
    took = "apiserver_request_duration_seconds"
    asked = {
        "syncer: wait in the queue": exposition.mean(syncer, f"{_SYNCER}queue_seconds", resource="pods"),
        "syncer: translation, per plan": exposition.mean(syncer, f"{_SYNCER}plan_seconds", resource="pods"),
        "syncer: from an event to the host pod": exposition.mean(
            syncer, f"{_SYNCER}sync_lag_seconds", side="host", resource="pods"
        ),
        "syncer: from an event to the tenant pod": exposition.mean(
            syncer, f"{_SYNCER}sync_lag_seconds", side="tenant", resource="pods"
        ),
        "host API: POST pods": exposition.mean(host, took, verb="POST", resource="pods", subresource=""),
        "host API: POST secrets": exposition.mean(host, took, verb="POST", resource="secrets"),
        "tenant API: POST pods": exposition.mean(api, took, verb="POST", resource="pods", subresource=""),
        "tenant API: POST token": exposition.mean(api, took, verb="POST", subresource="token"),
        "tenant API: POST binding": exposition.mean(api, took, verb="POST", subresource="binding"),
        "tenant API: PATCH status": exposition.mean(api, took, verb="PATCH", subresource="status"),
    }
    return {name: value for name, value in asked.items() if value is not None}
