"""A kernel that fills workgroup memory with garbage.

wgpu-native does not clear workgroup memory: a kernel sees what the last one on that core
left behind, be it another learner's numbers or, worse, the right zeros. This runs before
a graded kernel, so that what was not written there reads as NaN.
"""

from __future__ import annotations

from gradschool.gpu.backend import Layout

POISON_WORD = 0x7FC0_BAD1
"""A quiet NaN as f32, 2,143,337,169 as u32."""

POISON_LAYOUT: Layout = ((0, "read_write"),)

POISON_WORKGROUPS = {"software": (4, 1, 1), "gpu": (1024, 1, 1)}
"""A GPU has a memory per compute unit; the worker gives a software driver one thread, so one memory."""

POISON_WGSL = f"""
@group(0) @binding(0) var<storage, read_write> sink: array<u32>;
var<workgroup> memory: array<u32, 4096>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group_id: vec3u) {{
  for (var word = index; word < 4096u; word += 64u) {{
    memory[word] = {POISON_WORD}u;
  }}
  workgroupBarrier();
  // The compiler would drop writes that nobody reads.
  if (memory[(index * 67u + group_id.x) % 4096u] == 1u) {{
    sink[index] = 1u;
  }}
}}
"""
