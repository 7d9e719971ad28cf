"""Pods, the one kind whose translation fills more than a file: parts of syncer.resources.pods."""
