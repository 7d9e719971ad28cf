"""Gathers what `vcp doctor NAME` judges about a tenant."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kube import apis
from kube import errors as kube
from kube import kubeconfig as kubeconfigs
from kube.client import Client
from vcp import certificates, diagnosis, inventory, layout, output, pki, render, routes
from vcp import spec as specs
from vcp.doctor import drift, lag, orphans, tenant_findings
from vcp.doctor.finding import Finding, checked, not_checked
from vcp.errors import VcpError
from vcp.provision import collecting, creating, facts
from vcp.session import Session

_LIMIT = 20.0  # seconds for a part that talks to the tenant


async def examine(session: Session, tenant: inventory.Tenant) -> list[Finding]:
    """All checks, in the order in which one would read them."""
    host = session.host
    works = [checked("control plane", _control_plane(host, tenant))]
    try:
        spec = await facts.recorded(host, tenant.name, tenant.namespace)
        unknown = "there is no record of its spec"
    except VcpError as error:  # of another version of vcp, whose keys this one does not know
        spec, unknown = None, error.message
    rest = ("certificates", "drift", "sync lag", "orphans")
    if spec is None:
        works += [_unknown(check, unknown) for check in rest]
    else:
        parts = (_certificates(host, spec), _drift(host, spec), _lag(host, spec), _orphans(session, spec))
        works += [checked(check, part) for check, part in zip(rest, parts, strict=True)]
    found = await asyncio.gather(*works)
    return [finding for findings in found for finding in findings]


async def _unknown(check: str, why: str) -> Sequence[Finding]:
    return [not_checked(check, why)]


async def _control_plane(host: Client, tenant: inventory.Tenant) -> Sequence[Finding]:
    place = tenant.namespace
    pods = await host.list(apis.PODS, place, labels=inventory.SELECTOR)
    claims: list[Any] = []
    events: list[Any] = []
    try:
        claims = await host.list(apis.PERSISTENT_VOLUME_CLAIMS, place, labels=inventory.SELECTOR)
        events = await host.list(apis.EVENTS, place, fields="type=Warning")
    except kube.ForbiddenError:  # the pods say most
        pass
    return [tenant_findings.control_plane(tenant, diagnosis.reasons(pods, claims, events))]


async def _certificates(host: Client, spec: specs.Spec) -> Sequence[Finding]:
    terms = {}
    for name, content in (await facts.files(host, spec)).items():
        if name.endswith(".crt"):
            read = certificates.read(content)
            terms[name] = tenant_findings.Term(read.not_valid_before_utc, read.not_valid_after_utc)
    return [tenant_findings.certificates(terms, spec.name, datetime.now(UTC))]


async def _drift(host: Client, spec: specs.Spec) -> Sequence[Finding]:
    survey = await facts.survey(host, spec)
    creation = creating.Creation(host, spec, survey, output.progress(), _LIMIT)
    found = await creating.addressed(creation, wait=False)
    made = pki.renew(survey.files, render.pki_request(spec, found), datetime.now(UTC))
    # A certificate that is due is a finding of its own, not drift: what there is counts as wanted.
    material = pki.Material(files={name: survey.files.get(name, new) for name, new in made.files.items()})
    rendered = render.flatten(render.render(spec, material, found))
    return [tenant_findings.drift(await drift.find(host, rendered), spec.name)]


async def _lag(host: Client, spec: specs.Spec) -> Sequence[Finding]:
    labels = f"{layout.TENANT}={spec.name},{layout.COMPONENT}=syncer"
    pods = await host.list(apis.PODS, spec.namespace, labels=labels)
    running = [pod["metadata"]["name"] for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
    async with asyncio.timeout(_LIMIT):
        texts = [(await collecting.metrics(host, spec.namespace, name)).decode() for name in running]
    return [tenant_findings.lag(lag.read(texts), spec.name)]


async def _orphans(session: Session, spec: specs.Spec) -> Sequence[Finding]:
    host = session.host
    entry = await session.entry(spec.name, spec.namespace)
    admin = kubeconfigs.from_text(entry.text().encode())
    async with (
        asyncio.timeout(_LIMIT),
        routes.route_in(host, spec.namespace, admin) as route,
        Client(routes.at(admin, route)) as tenant,
    ):
        return [tenant_findings.orphans(await orphans.find(host, tenant, spec), spec.name)]
