"""Machines for the tests of what becomes of commits."""

from tests.e2e.conftest import machine, machines

__all__ = ["machine", "machines"]
