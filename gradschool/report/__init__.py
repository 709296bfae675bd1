"""Feedback pages, the class page and grade tables, all made from grade records."""

from gradschool.report.class_page import write_class
from gradschool.report.feedback import write_feedback
from gradschool.report.files import write_atomic
from gradschool.report.load import load_records, read_records

__all__ = ["load_records", "read_records", "write_atomic", "write_class", "write_feedback"]
