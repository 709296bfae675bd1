"""The starts of all workgroups, counted."""


def workgroups_for(n, workgroup_size):
    if n < 0:
        raise ValueError("there are no fewer than 0 elements")
    if workgroup_size < 1:
        raise ValueError("a workgroup has at least one invocation")
    return len(range(0, n, workgroup_size))
