"""ProdSprint: from a commit to compliant production, reversibly."""

__version__ = "0.1.0"
