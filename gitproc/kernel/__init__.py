"""Effects on the Linux kernel: processes (through the shim), cgroups, users, directories."""
