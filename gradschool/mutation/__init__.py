"""Change every reference a little, in every place, and see whether the hidden tests notice."""

from __future__ import annotations

from gradschool.mutation.mutants import Mutant, mutants_of
from gradschool.mutation.run import mutate_pack, plan

__all__ = ["Mutant", "mutants_of", "mutate_pack", "plan"]
