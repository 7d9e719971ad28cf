"""What Prometheus is told of requests that the syncer answers."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import Counter, Histogram


@dataclass
class Outcome:
    """How a request ended, in one word."""

    result: str = "failed"


@dataclass(frozen=True)
class RequestMetrics:
    """The requests of one `endpoint`; both instruments are labelled by it, the counter by the result too."""

    endpoint: str
    requests: Counter
    seconds: Histogram

    @contextlib.contextmanager
    def request(self) -> Iterator[Outcome]:
        """Counts and times one request by the outcome that the body sets."""
        outcome, start = Outcome(), time.monotonic()
        try:
            yield outcome
        finally:
            self.requests.labels(self.endpoint, outcome.result).inc()
            self.seconds.labels(self.endpoint).observe(time.monotonic() - start)
