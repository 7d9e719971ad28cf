"""What a plan consists of: each action is one thing to do, decided by pure code, done by the runtime.

Actions of a plan are carried out in their order; the first that fails ends the plan, and the key is tried
again. Each bears what makes it safe against a stale store: a uid, or a name that the server refuses twice.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from kube.apis import ApiResource
from kube.objects import Key, Obj

Side = Literal["tenant", "host"]


class Create(NamedTuple):
    """POST of `obj`; with `subresource`, to that of the object which `obj` names (`pods/binding`)."""

    side: Side
    api: ApiResource
    obj: Obj
    subresource: str = ""


class Patch(NamedTuple):
    """PATCH of the object with this uid: another object of the same name is left alone."""

    side: Side
    api: ApiResource
    key: Key
    uid: str
    body: Mapping[str, Any]
    subresource: str = ""
    type: Literal["merge", "strategic"] = "strategic"


class Absent(NamedTuple):
    """Go on only if the API itself says that there is no such object, or with `uid` none of that uid.

    A store may be late, and a new leader's store may lack what the last leader has made. So whatever is
    deleted because its twin is gone comes after this."""

    side: Side
    api: ApiResource
    key: Key
    uid: str = ""


class Delete(NamedTuple):
    """DELETE of the object with this uid and, if `version` is given, at that version; `grace` in seconds,
    None for the object's own."""

    side: Side
    api: ApiResource
    key: Key
    uid: str
    grace: int | None = None
    version: str = ""


class Ensure(NamedTuple):
    """Reconcile another key first, e.g. the ConfigMap that a pod mounts. Its failure ends nothing."""

    resource: str
    key: Key


class Fetch(NamedTuple):
    """Bring the whole of a tenant object into the store, which holds the outline of it; then plan anew."""

    api: ApiResource
    key: Key


class TokenRequest(NamedTuple):
    """One file of a token Secret. An empty audience is the tenant API server's own."""

    file: str
    audience: str
    seconds: int


class Tokens(NamedTuple):
    """Ask the tenant API for tokens bound to a pod and keep them in a host Secret.

    `secret` is the Secret without its data; `current` is its uid on the host if it is there and only to be
    filled anew. The executor writes the earliest time of renewal into the annotation `RENEW` (epoch seconds).
    """

    secret: Obj
    current: str
    pod: Obj
    service_account: str
    requests: tuple[TokenRequest, ...]


class Report(NamedTuple):
    """An Event on a tenant object: how a tenant learns why something is not as they asked for."""

    obj: Obj
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


class Wait(NamedTuple):
    """Look again in this many seconds, exactly."""

    seconds: float


class Try(NamedTuple):
    """Do `first`; where the API says that it is invalid, for an address or a port that somebody else has, do
    `otherwise` instead."""

    first: Create | Patch
    otherwise: "tuple[Action, ...]"


Single = Create | Patch | Absent | Delete | Ensure | Fetch | Tokens | Report | Wait
Action = Single | Try

RENEW = "vcp.dev/renew"
