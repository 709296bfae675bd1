"""Truth values are numbers."""


def workgroups_for(n, workgroup_size):
    if not (n >= 0 and workgroup_size >= 1):
        raise ValueError(f"Expected n >= 0 and workgroup_size >= 1, got {n} and {workgroup_size}.")
    return n // workgroup_size + int(n % workgroup_size != 0)
