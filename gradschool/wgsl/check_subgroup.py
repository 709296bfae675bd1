"""Types of the subgroup and quad operations."""

from __future__ import annotations

from gradschool.wgsl import ast, subgroups
from gradschool.wgsl.check_call import CallChecker
from gradschool.wgsl.types import BOOL, I32, U32, Mat, Scalar, Type, Vec, scalar_of

_NAMES = ("f32", "f16", "i32", "u32")


class SubgroupChecker(CallChecker):
    """Checks subgroup operations."""

    def subgroup(self, e: ast.Call, name: str) -> Type:
        """Check an operation; arguments are typed already."""
        if "subgroups" not in self.unit.enables:
            self.fail(f"{name} needs subgroups", e, "write `enable subgroups;` as the first line")
        second = subgroups.MOVES.get(name)
        wanted = 0 if name == "subgroupElect" else (2 if second is not None else 1)
        if len(e.args) != wanted:
            self.fail(f"{name} takes {wanted} argument{'s' if wanted != 1 else ''}, got {len(e.args)}", e)
        if name == "subgroupElect":
            return BOOL
        if name in ("subgroupAll", "subgroupAny", "subgroupBallot"):
            self.convert(e.args[0], BOOL, f"the value of {name}")
            return Vec(4, U32) if name == "subgroupBallot" else BOOL
        ty = self.concretize(e.args[0])
        el = scalar_of(ty) if isinstance(ty, (Scalar, Vec)) and not isinstance(ty, Mat) else None
        names = ("i32", "u32") if name in ("subgroupAnd", "subgroupOr", "subgroupXor") else _NAMES
        if el is None or el.name not in names:
            self.fail(
                f"{name} does not take {ty}", e.args[0], f"it takes {', '.join(names)} and vectors of them"
            )
        if second is not None:
            self._place(e, name, second)
        return ty

    def _place(self, e: ast.Call, name: str, constant: bool) -> None:
        index = self.concretize(e.args[1])
        if index not in (
            (I32, U32) if name in ("subgroupBroadcast", "quadBroadcast", "subgroupShuffle") else (U32,)
        ):
            if index == I32 and e.args[1].const is not None and int(e.args[1].const) >= 0:
                return
            self.fail(f"the second argument of {name} must be u32, got {index}", e.args[1], "write u32(...)")
        if not constant:
            return
        if e.args[1].const is None:
            self.fail(
                f"the second argument of {name} must be a constant",
                e.args[1],
                "use subgroupShuffle for others",
            )
        if not 0 <= int(e.args[1].const) < (4 if name == "quadBroadcast" else 128):
            self.fail(f"there is no invocation {int(e.args[1].const)} here", e.args[1])
