"""Structured logs on stderr: a constant message, and what varies as fields."""

import json
import logging
from typing import Literal

from kube.logfields import fields


class _Formatter(logging.Formatter):
    def __init__(self, style: Literal["json", "text"]) -> None:
        super().__init__()
        self._json = style == "json"

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{record.msecs:03.0f}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= fields(record)
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        if self._json:
            return json.dumps(told, default=str, ensure_ascii=False)
        return " ".join(f"{key}={json.dumps(value, default=str)}" for key, value in told.items())


def configure(level: str, style: Literal["json", "text"]) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(style))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
