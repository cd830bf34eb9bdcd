"""For all tests: what hypothesis tries is the same on each run, so that a green change stays green.

`make test-fuzz` looks further: other inputs each time, many more of them (`HYPOTHESIS_PROFILE=search`).

What tests start is as it is for users: without packages that only developers' tools bring.
"""

import gc
import os
from pathlib import Path

from hypothesis import HealthCheck, settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

_AS_INSTALLED = str(Path(__file__).parent / "support" / "as_installed")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (_AS_INSTALLED, os.environ.get("PYTHONPATH"))))


def pytest_configure() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    """The tests themselves are never garbage: looking through all of them takes 0.3 s, and fell into what was measured."""
    gc.collect()
    gc.freeze()
    gc.enable()
