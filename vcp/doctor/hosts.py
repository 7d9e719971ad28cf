"""Gathers what `vcp doctor` judges about a host."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

from kube import apis, requests
from kube import errors as kube
from kube.client import Client
from vcp.doctor import host_findings, probing
from vcp.doctor.finding import Finding, checked
from vcp.provision import creating, facts, permissions
from vcp.spec import Spec

_REQUESTS = 15
_METRICS = "/apis/metrics.k8s.io/v1beta1"


async def examine(host: Client, spec: Spec, *, probe: bool) -> list[Finding]:
    """`spec` is that of a tenant that might be created; with `probe`, pods of ours try the host's network.

    Raises KubeError if the host does not answer at all."""
    slow = await _latency(host)  # alone, because the other checks would be in its way
    works = [checked("host", _surveyed(host, spec)), checked("metrics API", _metrics(host))]
    if probe:
        works.append(checked("probe pods", _probed(host, spec)))
    surveyed, *others = await asyncio.gather(*works)
    return [*surveyed, *slow, *(finding for found in others for finding in found)]


async def _latency(host: Client) -> Sequence[Finding]:
    took = []
    for _ in range(_REQUESTS):
        started = time.perf_counter()
        with contextlib.suppress(kube.ForbiddenError, kube.NotFoundError):  # an answer is an answer
            await host.get(apis.NAMESPACES, "", "default")
        took.append(time.perf_counter() - started)
    return [host_findings.latency(took[1:])]  # the first has opened the connection


async def _surveyed(host: Client, spec: Spec) -> Sequence[Finding]:
    survey = await facts.survey(host, spec)
    existing = survey.facts.foreign_namespaces
    needs = permissions.needs(creating.preview(spec, survey), spec.namespace, existing)
    lacking = await permissions.lacks(host, sorted({*needs, *permissions.ending(spec, existing)}))
    return [
        host_findings.version(survey.facts.host_version),
        host_findings.permissions(permissions.told(lacking)),
        host_findings.storage(survey.storage_classes, spec),
        host_findings.service_cidr(survey.facts.service_cidr),
    ]


async def _metrics(host: Client) -> Sequence[Finding]:
    try:
        await host.send(requests.raw(_METRICS))
    except kube.NotFoundError:
        return [host_findings.metrics("")]
    except kube.ServerError as error:
        return [host_findings.metrics(str(error))]
    return [host_findings.metrics(None)]


async def _probed(host: Client, spec: Spec) -> Sequence[Finding]:
    return list(host_findings.probes(await probing.run(host, spec)))
