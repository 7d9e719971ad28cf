"""Whether the tenant's own API lets a user ask for metrics: its answers, kept for a moment."""

import asyncio
from typing import NamedTuple

import msgspec

from kube import apis, errors
from kube.client import Client
from syncer.kinds.metrics import callers
from syncer.kinds.metrics.answers import MetricsRequest
from syncer.kinds.metrics.callers import Caller

_KEPT = 10.0  # seconds; API servers keep those of their own webhook authorisers as long
_MOST = 1024


class Verdict(NamedTuple):
    """`reason` is the authoriser's, if it gave one."""

    allowed: bool
    reason: str = ""


class _Status(msgspec.Struct):
    """What is read of a review's status."""

    allowed: bool = False
    reason: str = ""


class Reviews:
    """Asks by SubjectAccessReview, as the syncer, for somebody else."""

    def __init__(self, tenant: Client) -> None:
        self._tenant = tenant
        self._known: dict[tuple[Caller, MetricsRequest], tuple[float, Verdict]] = {}

    async def verdict(self, caller: Caller, asked: MetricsRequest) -> Verdict:
        """Raises KubeError: TransportError for an answer that is not a review."""
        if callers.MASTERS in caller.groups:
            return Verdict(True)
        now = asyncio.get_running_loop().time()
        until, verdict = self._known.get((caller, asked), (0.0, Verdict(False)))
        if now < until:
            return verdict
        answer = await self._tenant.create(apis.SUBJECT_ACCESS_REVIEWS, "", callers.review(caller, asked))
        try:
            status = msgspec.convert(answer.get("status") or {}, _Status)
        except msgspec.ValidationError as error:
            raise errors.TransportError(f"the answer is not a review: {error}") from error
        verdict = Verdict(status.allowed, status.reason)
        self._known.pop((caller, asked), None)  # so that the order stays that of their ages
        while len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[caller, asked] = (now + _KEPT, verdict)
        return verdict
