"""The lab: a real Kubernetes cluster on one Linux machine, built from source modules, without any image
registry.
"""
