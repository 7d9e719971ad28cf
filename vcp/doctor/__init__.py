"""What `vcp doctor` looks at: each check is a thin gatherer of facts (`hosts`, `tenants`, what they use) and
a pure judgement of them (`host_findings`, `tenant_findings`)."""
