"""The Kubernetes client library of both programs: kinds of objects, requests and answers as pure functions,
and the client that carries them. Why so: docs/decisions/0022-own-client.md."""
