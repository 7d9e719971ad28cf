"""Pods: the parts of their translation, which syncer.kinds.pods.pods puts together."""
