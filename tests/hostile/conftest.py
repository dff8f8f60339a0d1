"""Machines whose services and callers mean harm."""

from tests.e2e.conftest import machine, machines

__all__ = ["machine", "machines"]
