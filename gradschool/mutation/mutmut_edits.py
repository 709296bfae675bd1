"""mutmut's operators, used as a library: it swaps operators, flags, keywords and arguments.

Its numbers, assignments of None and neutralised conditions are left out: ours differ for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from typing import Any

from gradschool.errors import UsageError
from gradschool.mutation.edits import Edit, edit_between

# The function in mutmut that makes the change, and what an id calls it.
KINDS = {
    "operator_swap_op": "operator",
    "operator_name": "flag",
    "operator_keywords": "keyword",
    "operator_remove_unary_ops": "negation",
    "operator_augmented_assignment": "assignment",
    "operator_arg_removal": "argument",
    "operator_dict_arguments": "key",
    "operator_string": "key",
    "operator_symmetric_string_methods_swap": "method",
    "operator_unsymmetrical_string_methods_swap": "method",
    "operator_match": "statement",
}


def mutmut_edits(source: str) -> Iterator[Edit]:
    """Yield mutmut's changes of a cell, but none of annotations, error messages or docstrings.

    Raises:
        UsageError: mutmut is not installed.
    """
    try:
        import libcst as cst
        from libcst.metadata import MetadataWrapper, WhitespaceInclusivePositionProvider
        from mutmut.mutation.mutators import mutation_operators
    except ImportError as error:
        raise UsageError(
            f"mutmut is not installed ({error}); its operators make a part of the mutants.",
            help='Install the authors\' tools: pip install -e ".[dev]"',
        ) from error
    kept = [(kind, make) for kind, make in mutation_operators if make.__name__ in KINDS]
    wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
    places = wrapper.resolve(WhitespaceInclusivePositionProvider)
    starts = [0, *accumulate(len(line) for line in source.splitlines(keepends=True))]
    module = wrapper.module
    for node in _walk(module, (cst.Annotation, cst.Raise, cst.Decorator)):
        for kind, make in kept:
            if isinstance(node, kind):
                for changed in filter(partial(_is_wanted, cst, node), make(node)):
                    place = places[node].start
                    start = starts[place.line - 1] + place.column
                    new = module.code_for_node(_tidied(changed, cst))
                    edit = edit_between(module.code_for_node(node), new, KINDS[make.__name__])
                    yield edit._replace(start=start + edit.start, end=start + edit.end)


def _walk(node: Any, skipped: tuple[type, ...]) -> Iterator[Any]:
    if isinstance(node, skipped):
        return
    yield node
    for child in node.children:
        yield from _walk(child, skipped)


def _is_wanted(cst: Any, node: Any, changed: Any) -> bool:
    if isinstance(node, cst.SimpleString):
        # One other key is as good as three, and a docstring is no key.
        return changed.value.startswith(('"XX', "'XX"))
    if isinstance(node, cst.Call) and len(node.args) == len(changed.args):
        # A None in place of a number, which nothing takes, is caught by anything.
        pairs = zip(node.args, changed.args, strict=True)
        return not any(new is not old and _is_none(new.value, cst) for old, new in pairs)
    return True


def _is_none(node: Any, cst: Any) -> bool:
    return isinstance(node, cst.Name) and node.value == "None"


def _tidied(node: Any, cst: Any) -> Any:
    """Drop the comma that a removed last argument leaves."""
    if not isinstance(node, cst.Call) or not node.args:
        return node
    last = node.args[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return node.with_changes(args=[*node.args[:-1], last])
