"""What the facts about a tenant mean for who uses it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from vcp import output
from vcp.doctor.drift import Drift
from vcp.doctor.finding import Finding
from vcp.doctor.lag import Lag
from vcp.doctor.orphans import Copy
from vcp.inventory import Tenant
from vcp.provision.creating import ISOLATION

_SLOW = 2.5  # seconds from an event to the write to the other side, for all but one in a hundred
_LONG_QUEUE = 200
_SHOWN = 5  # of a list that might be long


class Term(NamedTuple):
    """When a certificate is valid."""

    begins: datetime
    ends: datetime


def control_plane(tenant: Tenant, reasons: Sequence[str]) -> Finding:
    """`reasons` are those of `vcp.diagnosis`."""
    check, name = "control plane", tenant.name
    again = f"`vcp create {name}` continues where the last create stopped"
    why = _listed(reasons) or tenant.reason or "nothing says why"
    match tenant.state:
        case "Ready":
            return Finding(check, "ok", f"all {tenant.desired} pods are ready")
        case "Provisioning":
            return Finding(
                check, "broken", f"it was never finished: {why}", "the tenant is not usable yet", again
            )
        case "Terminating":
            action = f"wait, or `vcp delete {name}` to see what blocks"
            return Finding(check, "broken", f"it is being deleted: {why}", "the tenant will be gone", action)
    action = f"look at `vcp logs {name} api|etcd|syncer|dns`; {again.replace('continues', 'also repairs')}"
    return Finding(check, "broken", _joined(tenant.reason, why), _missing(tenant), action)


def certificates(terms: Mapping[str, Term], name: str, now: datetime) -> Finding:
    """`terms` are those of the certificates by file name."""
    check, action = "certificates", f"`vcp create {name}` renews them, and restarts what uses them"
    if not terms:
        return Finding(
            check,
            "warning",
            "you may not read them",
            "it is not known when they expire",
            "ask for permission",
        )
    over = sorted(file for file, term in terms.items() if term.ends <= now)
    due = sorted(file for file, (begins, ends) in terms.items() if ends - now < (ends - begins) / 3)
    first = min(term.ends for term in terms.values())
    if over:
        meaning = "their holders are refused: components of the control plane, and the tenant's users"
        return Finding(
            check, "broken", f"{', '.join(over)} ended on {first:%Y-%m-%d %H:%M} UTC", meaning, action
        )
    if due:
        found = f"{', '.join(due)}: the first ends in {output.age(first - now)}"
        meaning = "less than a third of their life is left; nothing fails before they end"
        return Finding(check, "warning", found, meaning, action)
    return Finding(check, "ok", f"the first of {len(terms)} ends in {output.age(first - now)}")


def drift(found: Sequence[Drift], name: str) -> Finding:
    if not found:
        return Finding("drift", "ok", "all objects on the host are as vcp renders them")
    isolating = [one for one in found if one.kind in ISOLATION]
    others = [one for one in found if one.kind not in ISOLATION]
    meaning = "somebody has edited them, or another version of vcp has applied them"
    if isolating:
        meaning = "an object that isolates this tenant is not as it should be"
    return Finding(
        "drift",
        "broken" if isolating else "warning",
        _listed([str(one) for one in (*isolating, *others)]),
        meaning,
        f"`vcp create {name}` undoes the edits; add to the spec what you want to keep",
    )


def lag(found: Lag, name: str) -> Finding:
    check, logs = "sync lag", f"look at `vcp logs {name} syncer`"
    if not found.leaders:
        meaning = "nothing reaches the host: new pods stay Pending, and deleted ones remain"
        return Finding(check, "broken", "no pod of the syncer leads", meaning, logs)
    if found.incomplete:
        meaning = "the syncer does not write these kinds before it has listed them"
        return Finding(check, "warning", f"no complete list of {', '.join(found.incomplete)}", meaning, logs)
    if found.most is None:
        return Finding(check, "ok", "nothing has been written yet")
    said = (
        f"half of {found.writes} writes within {found.middle:g} s of their event, "
        f"99 % within {found.most:g} s; {found.depth} keys wait"
    )
    if found.most > _SLOW or found.depth > _LONG_QUEUE:
        meaning = "pods start later, and the tenant sees their status later, than the host would let them"
        action = f"see whether the host's API is slow (`vcp doctor`) or throttles the syncer; {logs}"
        return Finding(check, "warning", said, meaning, action)
    return Finding(check, "ok", said)


def orphans(found: Sequence[Copy], name: str) -> Finding:
    if not found:
        return Finding("orphans", "ok", "every object on the host stands for one of the tenant")
    return Finding(
        "orphans",
        "warning",
        _listed([str(one) for one in found]),
        "they take room and quota on the host, for tenant objects that are gone",
        f"a running syncer deletes them: look at `vcp logs {name} syncer` for why it does not",
    )


def _missing(tenant: Tenant) -> str:
    """What does not work while these components are down; the first of them matters most."""
    down = {component.name for component in tenant.components if component.why}
    consequences = {
        "etcd": "the tenant's API has no store: nothing works",
        "api": "the tenant's API does not answer; its pods run on",
        "syncer": "nothing of the tenant gets to the host, logs and exec fail, Services cannot be made",
        "dns": "the tenant's pods find no Service by its name",
    }
    return (
        "; ".join(text for part, text in consequences.items() if part in down)
        or "the tenant may not be usable"
    )


def _listed(texts: Iterable[str]) -> str:
    texts = list(texts)
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more


def _joined(*texts: str) -> str:
    return "; ".join(dict.fromkeys(text for text in texts if text))
