"""When the interpreter looks for cycles in what is held: seldom, for the syncer makes few and holds much.

With Python's own thresholds half of a first list's time goes into searching what has just been stored. So the
process starts with the collector disabled.
"""

import asyncio
import contextlib
import gc
from collections.abc import Awaitable

_YOUNG = 10_000  # allocations, deallocations taken off, until the youngest objects are searched
_LONGEST = 60.0  # seconds without any search: cycles of failed requests must not add up while an API is away


async def collect_once(listed: Awaitable[object]) -> None:
    """Enables the collector when `listed` is done, or takes too long. What is held by then is never searched,
    what comes later is; all of it still goes as soon as nobody refers to it."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(listed, _LONGEST)
    gc.freeze()
    gc.set_threshold(_YOUNG)
    gc.enable()
