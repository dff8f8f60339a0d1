"""GitProc: the services of a machine are what a git commit says they are."""

__version__ = "0.1.0"
