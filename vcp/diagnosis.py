"""Why a control plane is not ready yet: what its pods, claims and Events say, as a person would look."""

from collections.abc import Iterable

from kube.objects import Obj, annotations_of
from syncer.core import marks

# Waiting reasons of containers that are part of every start and explain nothing.
_USUAL = {"ContainerCreating", "PodInitializing"}


def reasons(pods: Iterable[Obj], claims: Iterable[Obj] = (), events: Iterable[Obj] = ()) -> list[str]:
    """One sentence per object that waits; a Warning Event of the object is quoted if there is one."""
    warnings = _latest_warnings(events)
    found = []
    for obj, why in [*((pod, _pod(pod)) for pod in pods), *((claim, _claim(claim)) for claim in claims)]:
        if why:
            warning = warnings.get(obj["metadata"].get("uid", ""), "")
            said = f"{obj['metadata']['name']} {why}"
            found.append(f"{said}: {warning}" if warning and "(" not in why else said)
    return found


def pressure(leases: Iterable[Obj]) -> list[str]:
    """What the syncer says of its own writes, by annotations of its Lease: one sentence for each trouble."""
    found = []
    for lease in leases:
        said = annotations_of(lease)
        if seconds := said.get(marks.OVERDRAWN):
            found.append(
                f"the tenant is over its budget: a write on the host waits {seconds} s (sync.budget)"
            )
        if replaced := said.get(marks.REPLACED):
            found.append(
                f"the syncer writes nothing, since the tenant has another server answer for {replaced}: "
                "delete the APIService there"
            )
        if number := said.get(marks.FIGHTS):
            found.append(
                f"something undoes what the syncer writes to {number} objects; Events in the tenant name them"
            )
    return found


def _pod(pod: Obj) -> str:
    """What holds this pod back; empty when it is ready."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "is terminating"
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    if conditions.get("Ready", {}).get("status") == "True":
        return ""
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for container in containers:
        state = container.get("state") or {}
        waiting = state.get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] not in _USUAL:
            return _with_message(f"{container['name']} is in {waiting['reason']}", waiting.get("message"))
        ended = state.get("terminated") or {}
        if ended and ended.get("exitCode"):
            return f"{container['name']} exited with code {ended['exitCode']}"
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return _with_message("is not scheduled", scheduled.get("message"))
    phase = status.get("phase", "Pending")
    return "is running, not ready" if phase == "Running" else f"is {phase}"


def _claim(claim: Obj) -> str:
    phase = (claim.get("status") or {}).get("phase", "Pending")
    return "" if phase == "Bound" else f"(claim) is {phase}"


def _latest_warnings(events: Iterable[Obj]) -> dict[str, str]:
    """Object uid -> message of its newest Warning."""
    newest: dict[str, tuple[str, str]] = {}
    for event in events:
        if event.get("type") != "Warning":
            continue
        when = event.get("lastTimestamp") or event.get("eventTime") or ""
        uid = (event.get("involvedObject") or {}).get("uid", "")
        if uid not in newest or when >= newest[uid][0]:
            newest[uid] = when, _short(event.get("message", ""))
    return {uid: message for uid, (_, message) in newest.items()}


def _with_message(text: str, message: str | None) -> str:
    return f"{text} ({_short(message)})" if message else text


def _short(message: str) -> str:
    return message if len(message) <= 160 else f"{message[:157]}..."
