"""Decisions. Pure: no os, time, socket, thread or asyncio, and no third-party package."""
