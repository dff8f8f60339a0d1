"""The tiny parent of every service; started by path as `python -I -S gitproc/shim`, standard library only."""
