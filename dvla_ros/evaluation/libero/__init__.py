"""The LIBERO benchmark: its simulator in a process and an environment of its own, any policy in this one."""
