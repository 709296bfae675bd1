"""Isolation: student Python runs in locked-down processes that answer with plain data."""
