"""The metrics API of a tenant, `metrics.k8s.io/v1beta1`. Why so: docs/decisions/0019-metrics-api.md."""
