"""Composes the defaults and a tiny run once, in the process that is forked: it takes each a quarter of a second."""

import tempfile
from pathlib import Path

from conftest import compose_tiny, enable_gc
from trainlab.config.differing import describe_differing

describe_differing(compose_tiny(Path(tempfile.gettempdir())))
enable_gc()
