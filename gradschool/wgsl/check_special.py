"""Rules of the built-in functions that signatures cannot describe."""

from __future__ import annotations

from gradschool.wgsl import ast, signatures, subgroups
from gradschool.wgsl.check_subgroup import SubgroupChecker
from gradschool.wgsl.types import (
    U32,
    Array,
    Atomic,
    Ptr,
    Scalar,
    Type,
    Vec,
    is_runtime_sized,
    scalar_of,
    size_of,
)


class SpecialChecker(SubgroupChecker):
    """Checks the built-in functions that signatures cannot describe."""

    def special(self, e: ast.Call, name: str) -> Type:
        """Check an atomic, barrier, subgroup operation, arrayLength, workgroupUniformLoad or bitcast."""
        types = [self.value(a) for a in e.args]
        if name in signatures.BARRIERS:
            self._count(e, name, 0)
            if name == "textureBarrier":
                self.fail(
                    "there are no textures here",
                    e,
                    "use workgroupBarrier() or storageBarrier()",
                )
            if self.function is not None:
                self.function.has_barrier = True
            return None  # type: ignore
        if name == "bitcast":
            return self._bitcast(e)
        if name in subgroups.OPERATIONS:
            return self.subgroup(e, name)
        if name == "arrayLength":
            self._count(e, name, 1)
            ptr = types[0]
            if not (isinstance(ptr, Ptr) and isinstance(ptr.to, Array) and ptr.to.count is None):
                self.fail(
                    f"arrayLength takes a pointer to a runtime-sized array, got {ptr}",
                    e,
                    "write arrayLength(&x)",
                )
            return U32
        if name == "workgroupUniformLoad":
            self._count(e, name, 1)
            ptr = types[0]
            if not (isinstance(ptr, Ptr) and ptr.space == "workgroup") or is_runtime_sized(ptr.to):
                self.fail(
                    f"workgroupUniformLoad takes a pointer to workgroup memory, got {ptr}",
                    e,
                )
            if self.function is not None:
                self.function.has_barrier = True
            return ptr.to.el if isinstance(ptr.to, Atomic) else ptr.to
        return self._atomic(e, name, types)

    def _count(self, e: ast.Call, name: str, n: int) -> None:
        if len(e.args) != n:
            self.fail(
                f"{name} takes {n} argument{'s' if n != 1 else ''}, got {len(e.args)}",
                e,
            )

    def _atomic(self, e: ast.Call, name: str, types: list[Type]) -> Type:
        self._count(e, name, signatures.ATOMICS[name] + 1)
        ptr = types[0]
        if not (isinstance(ptr, Ptr) and isinstance(ptr.to, Atomic)):
            help = (
                f"write {name}(&x, ...)"
                if not isinstance(ptr, Ptr)
                else "declare the variable with atomic<u32> or atomic<i32>"
            )
            self.fail(f"{name} takes a pointer to an atomic, got {ptr}", e, help)
        if ptr.space == "storage" and ptr.access != "read_write":
            self.fail("this buffer can only be read", e, "declare it var<storage, read_write>")
        for a in e.args[1:]:
            self.convert(a, ptr.to.el, f"the value of {name}")
        if name == "atomicStore":
            return None  # type: ignore
        return signatures.cas_result(ptr.to.el) if name == "atomicCompareExchangeWeak" else ptr.to.el

    def _bitcast(self, e: ast.Call) -> Type:
        self._count(e, "bitcast", 1)
        if not e.callee.targs or len(e.callee.targs) != 1:
            self.fail("bitcast needs the type to become", e, "write bitcast<u32>(x)")
        to = self.resolve(e.callee.targs[0])
        frm = self.concretize(e.args[0])
        ok = isinstance(to, (Scalar, Vec)) and isinstance(frm, (Scalar, Vec))
        if not ok or "bool" in (scalar_of(to).name, scalar_of(frm).name) or size_of(to) != size_of(frm):  # type: ignore
            self.fail(
                f"bitcast cannot turn {frm} into {to}: they must have the same number of bits",
                e,
            )
        code = bitcast_code(frm, to, "a")
        self.fold(e, e.args, code, to)
        return to


def bitcast_code(frm: Type, to: Type, a: str) -> str:
    """Python text of a bitcast."""
    el = scalar_of(to)
    assert el is not None
    n_from = frm.n if isinstance(frm, Vec) else 1
    n_to = to.n if isinstance(to, Vec) else 1
    return f"bitcast({a}, {el.name}, {n_from}, {n_to})"
