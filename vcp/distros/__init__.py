"""What runs as API server and controller manager: one pure module per distro, behind one small interface.

Nothing outside of this package knows what a distro is.
"""

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from vcp.distros.pod import ApiPod
from vcp.spec import Spec

__all__ = ["ApiPod", "Distro", "of"]


class Distro(Protocol):
    """What a module of this package provides."""

    def keys(self, spec: Spec) -> Mapping[str, tuple[str, ...]]:
        """Secret -> the key material in it. A container mounts its own Secret only."""

    def images(self, spec: Spec) -> dict[str, str]:
        """The images by container name."""

    def pod(self, spec: Spec, service_cidr: str, sans: tuple[str, ...]) -> ApiPod:
        """Containers, volumes and configuration files of the Deployment `api`.

        `sans` are the API's names and addresses, for a distro that makes its serving certificate by itself.
        """


def of(spec: Spec) -> Distro:
    """The distro of a spec; only that one is imported."""
    return cast("Distro", importlib.import_module(f"vcp.distros.{spec.distro}"))
