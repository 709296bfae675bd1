"""Floor division rounds down; of a negative number it rounds away from zero."""


def workgroups_for(n, workgroup_size):
    if n < 0:
        raise ValueError("n must not be negative")
    if workgroup_size <= 0:
        raise ValueError("workgroup_size must be positive")
    return -(-n // workgroup_size)
