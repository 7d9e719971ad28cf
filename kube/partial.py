"""What is read of an object, as a type: a decoder skips all other fields and builds nothing of them.

It is names that count here. What is in a field is as the API server sent it, unless the type says more.
"""

from typing import Any, TypedDict


class Metadata(TypedDict, total=False):
    """Without `managedFields`, which can be half of an object."""

    name: Any
    generateName: Any
    namespace: Any
    uid: Any
    resourceVersion: Any
    generation: Any
    creationTimestamp: Any
    deletionTimestamp: Any
    deletionGracePeriodSeconds: Any
    labels: Any
    annotations: Any
    ownerReferences: Any
    finalizers: Any


class Identity(TypedDict, total=False):
    namespace: Any
    name: Any
    uid: Any
    resourceVersion: Any
