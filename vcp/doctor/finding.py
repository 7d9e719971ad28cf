"""What a check has found, in a form for people and for programs."""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Literal

import msgspec

from kube import errors as kube
from vcp.errors import VcpError

Level = Literal["ok", "warning", "broken"]
BROKEN = 7  # the exit code where anything is


class Finding(msgspec.Struct, frozen=True):
    """`found` is the fact, `meaning` its consequence, `action` what to do: both only if needed."""

    check: str
    level: Level
    found: str
    meaning: str = ""
    action: str = ""


async def checked(check: str, work: Awaitable[Sequence[Finding]]) -> Sequence[Finding]:
    """The findings of one check, or one that says why there are none: it does not keep the others."""
    try:
        return await work
    except (kube.KubeError, VcpError, OSError, TimeoutError, BaseExceptionGroup) as error:
        if isinstance(error, BaseExceptionGroup) and not _expected(error):
            raise
        return [not_checked(check, reason(error))]


def not_checked(check: str, why: str) -> Finding:
    return Finding(
        check,
        "warning",
        f"not checked: {why}",
        "nothing is known about this, neither good nor bad",
        "remove the cause, or run the command again as somebody who may do this",
    )


def reason(error: BaseException) -> str:
    """In one line; the first of a group, because the others are mostly its consequences."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(str(error).split()) or type(error).__name__


def exit_code(findings: Iterable[Finding]) -> int:
    return BROKEN if any(finding.level == "broken" for finding in findings) else 0


def _expected(group: BaseExceptionGroup) -> bool:
    return group.split((kube.KubeError, VcpError, OSError, TimeoutError))[1] is None
