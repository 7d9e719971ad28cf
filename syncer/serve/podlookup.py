"""Which pod of the host a request of the tenant is about, and whether there is one."""

import logging
from dataclasses import dataclass

from kube import apis, errors
from kube.client import Client
from kube.objects import Key, Obj
from syncer.core.scope import Scope
from syncer.kinds.pods import streams
from syncer.kinds.pods.streams import StreamRequest
from syncer.serve.http import Refused

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PodLookup:
    """Both clusters: the stores behind `scope`, and the API servers for what the stores do not know yet."""

    scope: Scope
    tenant: Client
    host: Client

    async def find(self, request: StreamRequest) -> tuple[Obj, Obj]:
        """The tenant pod and its host pod. Raises Refused.

        The stores may be late, on a replica that does not lead above all, so a no comes from the servers."""
        key, scope = request.pod, self.scope
        host_key = scope.host_key(key)
        tenant, host = scope.tenant.get(apis.PODS, key), scope.host.get(apis.PODS, host_key)
        if streams.missing(request, tenant, host):
            tenant, host = await _read(self.tenant, key), await _read(self.host, host_key)
        if (problem := streams.missing(request, tenant, host)) or not (tenant and host):
            raise Refused(404, problem)
        return tenant, host


async def _read(client: Client, key: Key) -> Obj | None:
    try:
        return await client.get(apis.PODS, key.namespace, key.name)
    except errors.NotFoundError:
        return None
    except errors.KubeError as error:
        _log.warning("pod not read", extra={"pod": str(key), "error": str(error)})
        raise Refused(503, "the pod cannot be looked up now") from error
