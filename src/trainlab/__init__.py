"""Train image classifiers under controlled comparison."""

__version__ = "0.1.0"
