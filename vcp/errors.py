"""What the CLI can fail with: every error carries a message, a hint and an exit code."""


class VcpError(Exception):
    """A failure that the CLI explains in one sentence, with a second one that says what to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(VcpError):
    """The command line, the configuration or the spec is wrong."""

    exit_code = 2


class NotFoundError(VcpError):
    """The tenant, or something the command needs of it, does not exist."""

    exit_code = 3


class RefusedError(VcpError):
    """The request is understood and declined: protected, immutable, owned by somebody else, no permission."""

    exit_code = 4


class DeadlineError(VcpError):
    """What the command waits for did not happen in time."""

    exit_code = 5


class HostError(VcpError):
    """The host API cannot be reached or failed."""

    exit_code = 6


class TenantError(VcpError):
    """The tenant's own API cannot be reached or failed."""

    exit_code = 8
