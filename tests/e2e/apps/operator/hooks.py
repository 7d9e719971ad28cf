"""What the API server asks about sites: pure functions from the request of a review to its response."""

import base64
import json

GROUP = "stack.example.com"
LARGEST = 3


def convert(request):
    """apiextensions.k8s.io/v1 ConversionReview."""
    wanted = request["desiredAPIVersion"]
    converted = [_converted(one, wanted) for one in request["objects"]]
    return {"result": {"status": "Success"}, "convertedObjects": converted}


def _converted(site, version):
    if site["apiVersion"] == version:
        return site
    spec = site["spec"]
    if version == f"{GROUP}/v1":
        spec = {"size": spec.get("replicas", 1), "page": {"text": spec["message"]}}
    else:
        spec = {"replicas": spec.get("size", 1), "message": spec["page"]["text"]}
    return {**site, "apiVersion": version, "spec": spec}


def validate(request):
    """admission.k8s.io/v1 AdmissionReview, of a create or an update."""
    size = request["object"]["spec"].get("size", 1)
    if 1 <= size <= LARGEST:
        return {"allowed": True}
    return {"allowed": False, "status": {"message": f"a site of {size} is not within 1 and {LARGEST}"}}


def mutate(request):
    """admission.k8s.io/v1 AdmissionReview, of a create: says who it was."""
    annotations = request["object"]["metadata"].get("annotations", {})
    value = {**annotations, f"{GROUP}/by": request["userInfo"]["username"]}
    patch = json.dumps([{"op": "add", "path": "/metadata/annotations", "value": value}])
    encoded = base64.b64encode(patch.encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": encoded}
