"""Quotient and remainder apart."""


def workgroups_for(n, workgroup_size):
    if n < 0 or workgroup_size < 1:
        raise ValueError(f"n = {n} and workgroup_size = {workgroup_size} make no sense.")
    full, rest = divmod(n, workgroup_size)
    return full + 1 if rest else full
