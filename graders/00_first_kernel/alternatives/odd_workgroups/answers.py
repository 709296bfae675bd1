"""The last element's workgroup, counted from 1."""


def workgroups_for(n, workgroup_size):
    if workgroup_size < 1:
        raise ValueError(f"workgroup_size is {workgroup_size}")
    if n < 0:
        raise ValueError(f"n is {n}")
    if n == 0:
        return 0
    last = n - 1
    return last // workgroup_size + 1
