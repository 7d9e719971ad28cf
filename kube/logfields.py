"""What a log record carries beside its constant message: the fields of its `extra`."""

import logging

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def fields(record: logging.LogRecord) -> dict[str, object]:
    """Name -> value, in the order in which they were given."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}
