"""The host's PodMetrics of all the tenant's pods: one list serves whatever is asked at about the same time.

So how often the tenant asks is of no weight to the host.
"""

import asyncio
import logging

from kube import apis, errors, requests
from kube.client import Client
from kube.objects import Obj
from syncer.core import marks
from syncer.core.scope import Scope

_log = logging.getLogger(__name__)
_FRESH = 2.0  # seconds; hosts measure every 15 or more


class UnavailableError(Exception):
    """There are no figures; the message says why, for users of the tenant."""


class HostUsage:
    """Asks the host's metrics API."""

    def __init__(self, host: Client, scope: Scope) -> None:
        self._host = host
        self._request = requests.list_page(
            apis.POD_METRICS, scope.namespace, labels=marks.selector(scope.name), limit=0
        )
        self._asking = asyncio.Lock()
        self._until = 0.0
        self._found: list[Obj] = []
        self._problem = ""

    async def pods(self) -> list[Obj]:
        """Raises UnavailableError."""
        async with self._asking:
            now = asyncio.get_running_loop().time()
            if now >= self._until:
                await self._ask()
                self._until = now + _FRESH
            found, problem = self._found, self._problem
        if problem:
            raise UnavailableError(problem)
        return found

    async def _ask(self) -> None:
        self._found, self._problem = [], ""
        try:
            self._found = (await self._host.send(self._request)).get("items") or []
        except errors.NotFoundError:
            self._problem = (
                f"the host cluster has no metrics API ({apis.POD_METRICS.api_version}): "
                "its administrator can install metrics-server"
            )
        except (errors.ForbiddenError, errors.UnauthorizedError) as error:
            self._problem = "the host cluster does not let the syncer read the metrics of pods"
            _log.warning("host metrics refused", extra={"error": str(error)})
        except errors.KubeError as error:
            self._problem = "the host cluster's metrics API does not answer now"
            _log.warning("host metrics not read", extra={"error": str(error)})
