"""What a tenant may not do, said so that they can act: which field, why, and what would allow it."""

from typing import NamedTuple


class Problem(NamedTuple):
    """`field` is a path as the API server writes it (`spec.containers[0].securityContext.privileged`);
    `allow` is the key of the tenant's spec that would allow it, empty if nothing does."""

    field: str
    reason: str
    allow: str = ""

    def __str__(self) -> str:
        hint = f" (allowed by {self.allow} of the tenant's spec)" if self.allow else ""
        return f"{self.field}: {self.reason}{hint}"


class Refused(Exception):  # noqa: N818  it is not an error of ours: the object is refused
    """Translation declines an object, naming every problem at once."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))
