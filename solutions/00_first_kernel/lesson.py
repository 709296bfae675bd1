# %% [markdown]
# # 0. First kernel: what a GPU does
#
# In this stage you write six small programs for a graphics processor. Each is between one and
# twenty lines long. At the end the six together recognise handwritten digits, about nine out of
# ten. Nothing is learned yet and nothing is hidden: every sum behind that number is made by
# lines that you wrote.
#
# You need NumPy and a little patience. You do not need to know anything about GPUs, and you do
# not need to own one. Without a GPU your programs run on a driver that imitates one, or on an
# interpreter that comes with the course. They give the same answers, only slower. The command
# `gradschool doctor` in a terminal says which of the three you have.

# %% tags=["setup"]
import numpy as np
import gradschool as gs

gs.start("00_first_kernel")

# %% [markdown]
# **How to work.** The programs are the files that end in `.wgsl`, in the same folder as this
# notebook. Open one with a double click in the file list on the left. Write your lines where it
# says `YOUR CODE HERE`, save the file, come back and run its check. A check tries a few small
# cases and explains what it saw. The grader later tries many more sizes, so a check that passes
# is a good sign and no proof.
#
# Questions come before answers here. Try to answer before you open the answer. A wrong guess
# teaches more than no guess.

# %% [markdown]
# ## 0.1 A loop whose order does not matter
#
# In NumPy, `a + b` adds two arrays. Somewhere below, a loop does the work:
#
# ```python
# for i in range(n):
#     out[i] = a[i] + b[i]
# ```
#
# **Question.** The loop goes from left to right. What would change if it went from right to
# left, or did all the even `i` first, or did everything at the same moment?
#
# <details><summary>Answer</summary>
#
# Nothing. The step for `i` reads `a[i]` and `b[i]` and writes `out[i]`. No step reads what
# another step writes, so no step has to wait for another.
#
# </details>
#
# A GPU is built for loops like this one. It has thousands of small units that add and multiply,
# and it wants thousands of steps that do not wait for each other.
#
# So on a GPU you do not write the loop. You write **one step**. The GPU runs that step once for
# every `i`. The program that holds the step is called a **kernel**, and one run of it is called
# an **invocation**.
#
# ![Eight invocations, one per element](figures/invocations.svg)
#
# Every invocation runs the same program. The one thing that differs is the answer to the
# question: *which number am I?*

# %% [markdown]
# ## 0.2 How to read a kernel
#
# Kernels are written in WGSL, the language of WebGPU. The same text runs on the GPUs of all
# makers and in a web browser. Here is the first file, without its opening comment:
#
# ```wgsl
# struct Params {
#   n: u32,
# }
#
# @group(0) @binding(0) var<uniform> params: Params;
# @group(0) @binding(1) var<storage, read> a: array<f32>;
# @group(0) @binding(2) var<storage, read> b: array<f32>;
# @group(0) @binding(3) var<storage, read_write> out: array<f32>;
#
# @compute @workgroup_size(64)
# fn main(@builtin(global_invocation_id) global_id: vec3u) {
#   // YOUR CODE HERE
# }
# ```
#
# | text | meaning |
# |---|---|
# | `struct Params`, `params` | A few numbers that the caller sends along. Here `n`, the length of the arrays. |
# | `var<storage, read> a` | An array in the GPU's memory that the kernel may read. |
# | `var<storage, read_write> out` | An array that the kernel may also write. |
# | `@binding(1)` | The plug that the caller connects `a` to. Leave the bindings as they are. |
# | `fn main(...)` | The step. It runs once per invocation. |
# | `global_id` | Which invocation this is: three unsigned numbers `.x`, `.y`, `.z`. |
#
# The comment that opens each file is a **contract**. It says what comes in, what must come out,
# how many invocations will run, and what your kernel must never do. Your kernel is judged by its
# contract, so read it first.
#
# The little WGSL that you need today:
#
# | in Python | in WGSL |
# |---|---|
# | `i = 3` | `let i = 3u;` for a name that never changes, `var s = 0.0;` for one that does |
# | `if i >= n: return` | `if (i >= params.n) { return; }` |
# | `for c in range(start, n, 64):` | `for (var c = start; c < params.n; c += 64u) { ... }` |
# | `p and q`, `p or q` | `p && q`, <code>p &#124;&#124; q</code> |
# | `float(i)`, `int(v)` | `f32(i)`, `i32(v)`, `u32(v)` |
#
# Types are strict. `1u` is an unsigned integer, `1i` a signed one, `1.0` a float. WGSL never
# turns one into another in silence. Adding a `u32` to an `f32` is an error, and the error names
# the line.

# %% [markdown]
# ## 0.3 Workgroups, and a few invocations too many
#
# Invocations do not run alone. They come in teams of fixed size, called **workgroups**. The
# kernel says how large a team is: `@workgroup_size(64)`. The caller, here Python, says how many
# teams to start. It can only start whole teams.
#
# **Question.** The data has `n = 10` elements, and a workgroup has 4 invocations. How many
# workgroups are needed? How many invocations is that?
#
# <details><summary>Answer</summary>
#
# Two workgroups are 8 invocations, and elements 8 and 9 would be forgotten. Three workgroups are
# 12 invocations. Two of them are left over.
#
# </details>
#
# ![Three workgroups of four cover ten elements](figures/workgroups.svg)
#
# The picture shows the three built-in numbers that an invocation can ask for. `workgroup_id`
# says which team, `local_invocation_id` says which member of the team, and
# `global_invocation_id` counts through all teams.
#
# How large should a team be? You choose, from 1 to 256. The hardware runs invocations in bundles of
# 32 or 64, and a smaller team leaves part of a bundle idle. 64 is a good first choice.
#
# ### Exercise: `workgroups_for`
#
# Write the rule that Python uses to choose the number of workgroups.
#
# Think about these cases before you write:
# - `n = 8` with teams of 4. An exact multiple needs no extra team.
# - `n = 9` with teams of 4. One element too many needs a whole team more.
# - `n = 0`. No elements, no work.
# - `n` of many digits. Python's integers are exact at any size. Are floats?


# %%
def workgroups_for(n: int, workgroup_size: int) -> int:
    """Count the workgroups that cover `n` elements, one invocation per element.

    The smallest integer k with k * workgroup_size >= n, exact for integers of any size.

    Args:
        n: Number of elements; 0 needs no workgroup.
        workgroup_size: Invocations per workgroup.

    Returns:
        Number of workgroups, a Python int.

    Raises:
        ValueError: `n` is negative, or `workgroup_size` is less than 1.

    Source:
        WebGPU, `dispatchWorkgroups`: the caller counts workgroups, not invocations.
    """
    ### BEGIN SOLUTION
    if n < 0:
        raise ValueError(f"n is {n}; a number of elements is 0 or more.")
    if workgroup_size < 1:
        raise ValueError(f"workgroup_size is {workgroup_size}; a workgroup has at least 1 invocation.")
    # Adding all but one of a further workgroup lifts every remainder over the next multiple.
    return (n + workgroup_size - 1) // workgroup_size
    ### END SOLUTION


# %% tags=["check"]
gs.check("workgroups_for")

# %% [markdown]
# ## 0.4 The guard
#
# Back to the picture. Invocations 10 and 11 run the same program as all others. They compute
# `out[10] = a[10] + b[10]` and `out[11] = a[11] + b[11]`.
#
# **Question.** `out` has ten elements. What happens to `out[10]`?
#
# <details><summary>Answer</summary>
#
# If the buffer also ends after ten elements, the GPU protects itself: such a write is dropped,
# or it lands on some other element of the same buffer. There is no error message.
#
# More often the buffer does not end there. Buffers are reused for smaller data, rounded up to
# convenient lengths, and shared by several arrays. Then `out[10]` exists, holds something that
# matters to somebody, and is overwritten. There is no error message for that either.
#
# </details>
#
# This is why nearly every kernel begins with a **guard**: an invocation that has no element
# returns at once. It is one line, it is easy to forget, and most small tests pass without it. The
# grader uses buffers that are longer than the data, and looks at what lies behind.
#
# ### Exercise: `add_forward.wgsl`
#
# `out[i] = a[i] + b[i]`. Open `add_forward.wgsl` and read its contract.
#
# Think about this first:
# - Which `i` is yours? The file offers `global_id`. Why would `local_invocation_id` work for
#   `n = 50` and fail for `n = 100`?
# - For which `i` must the guard stop? Be careful with `i == n`.
# - `out` arrives filled with junk. Assign to it. Do not add to what it holds.
# - The length is `params.n`. WGSL also has `arrayLength(&out)`. Why is that the wrong number here?
#
# <details><summary>A hint on the last one</summary>
#
# `arrayLength` is the length of the *buffer*. The contract says that the buffer may be longer
# than the data.
#
# </details>

# %% tags=["demo"]
gs.show_kernel("add_forward.wgsl")

# %% tags=["check"]
gs.check("add_forward.wgsl")

# %% [markdown]
# Now use it. `gs.kernel` makes a Python function out of your file. It takes NumPy arrays by name,
# copies them to the device, starts as many workgroups as the contract asks for, and copies the
# result back. Kernels calculate in `float32`, so that is what they are given.
#
# The data is real. `gs.load_digits()` returns 1,797 digits that people wrote by hand, 8 by 8
# pixels each. A pixel is a number from 0 (paper) to 1 (ink).
#
# **Question.** What does the sum of two pictures look like, say of a 3 and a 1?

# %% tags=["demo"]
import matplotlib.pyplot as plt


def show_images(images, titles, **scale):
    """Show 8 x 8 pictures side by side, ink dark, each on its own scale unless vmin and vmax are given."""
    figure, axes = plt.subplots(1, len(images), figsize=(min(9, 1.8 * len(images)), 2), squeeze=False)
    for axis, image, title in zip(axes[0], images, titles, strict=True):
        axis.imshow(np.asarray(image).reshape(8, 8), cmap="Greys", **scale)
        axis.set_title(title, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout()
    plt.show()


images, labels = gs.load_digits()
images = images.astype(np.float32)
three, one = images[labels == 3][0], images[labels == 1][0]

add = gs.kernel("add_forward.wgsl")
both = add(a=three, b=one)
show_images([three, one, both], ["a", "b", "a + b, your kernel"])
print("equal to NumPy:", np.array_equal(both, three + one))

# %% [markdown]
# Both strokes are there. Where one lies on the other the sum goes up to 2, and the picture's scale with
# it.
#
# One remark on speed. Sixty-four additions are nothing, and sending them to a GPU costs far more
# than the additions do. A GPU pays off when there are many elements, or much work for each of
# them. From stage 4 on there is plenty of both.

# %% [markdown]
# ## 0.5 The uniform: numbers that are the same for everybody
#
# Arrays differ from element to element. Some numbers do not: the length, a learning rate, a
# scale. They travel in `Params`. It is called a **uniform** because every invocation reads the
# same values from it.
#
# **Question.** Why not write such a number into the kernel's text, as in `0.5 * x[i]`?
#
# <details><summary>Answer</summary>
#
# The text is compiled. That takes tens of milliseconds, and a new value would mean a new text. A
# uniform is a few bytes that are sent with each launch. One compiled kernel serves all values.
#
# </details>
#
# ### Exercise: `scale_shift.wgsl`
#
# `out[i] = alpha * x[i] + beta`. The two numbers are `params.alpha` and `params.beta`.
#
# Think about this first:
# - This is the add kernel with another formula. Which line of it stays word for word?
# - `alpha` multiplies before `beta` is added. `alpha * (x + beta)` is something else.
# - The caller fills `Params` field by field in the order of the struct. What happens if you swap
#   two lines of the struct?

# %% tags=["demo"]
gs.show_kernel("scale_shift.wgsl")

# %% tags=["check"]
gs.check("scale_shift.wgsl")

# %% [markdown]
# **Question.** Which `alpha` and `beta` turn a picture into its negative, so that ink becomes
# paper and paper becomes ink? Ink is 1 and paper is 0.
#
# <details><summary>Answer</summary>
#
# 0 must become 1, so `beta = 1`. And 1 must become 0, so `alpha = -1`.
#
# </details>

# %% tags=["demo"]
scale_shift = gs.kernel("scale_shift.wgsl")
negative = scale_shift(x=three, alpha=-1.0, beta=1.0)
faint = scale_shift(x=three, alpha=0.25, beta=0.0)
show_images([three, negative, faint], ["x", "-1 * x + 1", "0.25 * x + 0"], vmin=0, vmax=1)
print("a picture plus its negative is", np.unique(add(a=three, b=negative)))

# %% [markdown]
# ## 0.6 Two indices
#
# Memory has no rows and columns. It is one long line of numbers. A matrix lies in it one row after
# another, which is called **row-major**.
#
# **Question.** `x` has 3 rows and 5 columns. At which place in the line is the element in row 1,
# column 3? In general, with `n_cols` columns, where is row `row`, column `col`?
#
# <details><summary>Answer</summary>
#
# Row 1 begins after one whole row, at place 5. Column 3 is three further, at place 8. In general
# the place is `row * n_cols + col`. The number of rows does not matter.
#
# </details>
#
# A transpose turns rows into columns. The values stay as they are, only their places change:
#
# ![A transpose moves element 8 to place 10](figures/transpose.svg)
#
# Invocations can be counted along two axes as well. `@workgroup_size(8, 8)` is a team of 64,
# arranged in a square, and `global_id` has an `.x` and a `.y`. In this course `x` runs along the
# columns and `y` along the rows, so that neighbours in `x` read neighbours in memory.
#
# ### Exercise: `transpose.wgsl`
#
# `out[j, i] = x[i, j]`.
#
# Think about this first:
# - `out` is a matrix too, with another number of columns. Which one?
# - Draw a matrix of 3 rows and 5 columns, and lay squares of 8 by 8 invocations on it.
#   Which invocations hang over the edge? There are two edges.
# - Somebody guards with `row * n_cols + col < n_rows * n_cols`. Take `row = 0` and `col = 6`. Does
#   that guard stop it? Which element does it read?
# - A square matrix hides many mistakes. Test with one that is not square.

# %% tags=["demo"]
gs.show_kernel("transpose.wgsl")

# %% tags=["check"]
gs.check("transpose.wgsl")

# %% tags=["demo"]
transpose = gs.kernel("transpose.wgsl")
flipped = transpose(x=three.reshape(8, 8))
back = transpose(x=flipped)
show_images([three, flipped, back], ["x", "transposed", "transposed twice"])
print("twice is the same as never:", np.array_equal(back, three.reshape(8, 8)))

# %% [markdown]
# A transpose mirrors the picture in the diagonal that runs from the top left.

# %% [markdown]
# ## 0.7 Working together
#
# Up to here no invocation knew of any other. A sum is different. To add up a row of 1,000 numbers,
# somebody must see all 1,000.
#
# **Question.** One invocation could add them in a loop. It would be right. What is bad about it?
#
# <details><summary>Answer</summary>
#
# The other thousands of units have nothing to do. The loop makes 999 additions one after another,
# and each waits for the one before.
#
# </details>
#
# Now think of 64 people who add 1,000 numbers together. Each takes every 64th number, 15 or 16 of
# them, adds those up alone, and writes the sum on a board that all can see. Then they pair up.
# Person 0 adds in the sum of person 32, person 1 that of person 33, and so on. 64 sums have become
# 32. Then 16, 8, 4, 2, 1. That is 15 additions and 6 rounds, one after another, instead of 999.
#
# The board is **workgroup memory**. It belongs to one workgroup, all of its invocations read and
# write it, and it is small and fast.
#
# ![Who sees which memory](figures/memory.svg)
#
# Here is the same plan with 8 invocations and 19 columns. In the kernels, `lane` is the member's
# number in the team, `local_id.x`.
#
# ![A row is summed by eight invocations](figures/row_sum.svg)

# %% [markdown]
# ## 0.8 The barrier
#
# **Question.** Look at the first round of pairing. Lane 1 reads `partial[5]`. Who wrote it, and how
# does lane 1 know that it has been written?
#
# <details><summary>Answer</summary>
#
# Lane 5 wrote it. Lane 1 does not know. Invocations of a workgroup run at their own pace. One may
# be far ahead of another, and which one it is can change from run to run and from GPU to GPU.
#
# </details>
#
# `workgroupBarrier()` is the remedy. An invocation that reaches it waits until **all** invocations
# of its workgroup have reached it. After that, everything that was written before the barrier can
# be seen by all of them.
#
# ![What a barrier is for](figures/barrier.svg)
#
# Without it there is a **race**: two invocations touch the same place, one of them writes, and
# nothing says who comes first. Races are unpleasant, because the program may give the right answer
# on your machine for a year. So the checks do not only look at the numbers. They also run your
# kernel in an interpreter that notes every access to memory and reports each race it sees.
#
# Two rules:
# - **One writes, another reads: put a barrier between.** This holds before every round, because
#   each round reads what the round before has written.
# - **All or none.** Every invocation of the workgroup must reach the same barrier. So no
#   `workgroupBarrier()` inside an `if` that only some enter, and no `return` before a barrier that
#   only some take. The others would wait for ever.
#
# ### Exercise: `row_sum.wgsl`
#
# One workgroup per row: `workgroup_id.x` is the row. Exactly `n_rows` workgroups run, so the row
# needs no guard.
#
# Think about this first:
# - In a row of 5 columns, lanes 5 to 63 find no number. What must they write on the board?
#   WGSL promises that workgroup memory begins as zeros, but not every driver keeps the promise.
# - In a row of 1,000 columns each lane needs a loop. Where does lane 3 begin, how far is each step,
#   and where does it stop?
# - In each round only the lower half adds. Which of the two, the addition or the barrier, belongs
#   inside that `if`?
# - Who writes `out[row]`? How many should?
#
# Here is the skeleton in words, to be turned into WGSL:
#
# 1. Add up my own columns in a variable of my own.
# 2. Write the sum into `partial[lane]`. Barrier.
# 3. For `half` = 32, 16, 8, 4, 2, 1: the lanes below `half` add `partial[lane + half]` to
#    `partial[lane]`. Barrier.
# 4. Lane 0 writes `out[row]`.

# %% tags=["demo"]
gs.show_kernel("row_sum.wgsl")

# %% tags=["check"]
gs.check("row_sum.wgsl")

# %% [markdown]
# Two questions to look back with, now that it works.
#
# **Question.** Is the barrier after the very last round needed?
#
# <details><summary>Answer</summary>
#
# No. In the last round lane 0 wrote `partial[0]`, and lane 0 reads it. An invocation always sees its
# own writes in order. The barrier does no harm, and the loop is simpler with it.
#
# </details>
#
# **Question.** Could the last rounds do without barriers, because "32 invocations run in step anyway"?
#
# <details><summary>Answer</summary>
#
# Some GPUs run 32 in step, some 64, some 16 or 8, and some change it from kernel to kernel. WGSL
# promises none of it, and a compiler may reorder reads and writes that no barrier separates.
#
# </details>
#
# With `row_sum` you can ask how much ink each digit takes.
#
# **Question.** Which digit needs the most ink, and which the least?

# %% tags=["demo"]
row_sum = gs.kernel("row_sum.wgsl")
ink = row_sum(x=images)
figure, axis = plt.subplots(figsize=(6, 2.6))
axis.bar(range(10), [ink[labels == digit].mean() for digit in range(10)], color="#1f6fb2")
axis.set_xticks(range(10))
axis.set_xlabel("digit")
axis.set_ylabel("mean ink, in full pixels")
figure.tight_layout()
plt.show()
print("1,797 sums equal to NumPy's:", np.array_equal(ink, images.sum(axis=1)))

# %% [markdown]
# The 8 wins, but only just: all ten need about 20 pixels of ink, because the pictures were scaled to
# fit their frame. One number per picture will not tell the digits apart. Keep that for the end.

# %% [markdown]
# ## 0.9 Order is not given
#
# The sums above are equal to NumPy's to the last bit. That was luck of a kind: pixels are
# multiples of 1/16, and sums of those are exact in `float32`.
#
# Most numbers are not so kind. A `float32` has 24 binary digits. After each addition the result is
# rounded to 24 digits again, and what does not fit is lost. So `(p + q) + r` and `p + (q + r)` may
# differ in the last digits, and a sum of many numbers depends on the order in which they are added.
#
# Let us add 115,008 numbers, all pixels of all digits, scaled so that they are no longer multiples
# of 1/16. The same numbers are added in four orders. The yardstick is the sum in `float64`.
#
# **Question.** Which order is the most accurate: left to right, smallest first, or your tree? Guess
# before you run the cell.

# %% tags=["demo"]
values = (images / images.std()).astype(np.float32).reshape(1, -1)
true_sum = values.astype(np.float64).sum()


def sum_left_to_right(numbers):
    """Add float32 numbers one after another; `cumsum` keeps that order, `sum` does not."""
    return np.cumsum(numbers, dtype=np.float32)[-1]


sums = {
    "left to right": sum_left_to_right(values[0]),
    "right to left": sum_left_to_right(values[0, ::-1]),
    "smallest first": sum_left_to_right(np.sort(values[0])),
    "your row_sum": row_sum(x=values)[0],
}
print(f"{'float64':16}{true_sum:14.4f}")
for order, value in sums.items():
    print(f"{order:16}{value:14.4f}   error {abs(value - true_sum):8.4f}")
sum_errors = {order: abs(float(value) - true_sum) for order, value in sums.items()}

# %% [markdown]
# Four orders, several answers, and none of them is a mistake. Your kernel is the most accurate
# here. The reason is in the picture of the tree: from its column to the result, a number passes
# through about 1,800 additions in a lane and 6 in the tree. From left to right it is up to 115,007,
# and each of them rounds.
#
# Why is *smallest first* so far off? Near the end the running sum is large, and every addition
# rounds it by an amount that is large too. When equal numbers come in long runs, the rounding goes
# the same way every time.
#
# Three things follow, for the whole course:
# - Do not compare floats with `==`, unless you know that every step is exact.
# - Two correct kernels may differ in the last digits. The grader allows what rounding can explain,
#   and works out how much that is for each test. It does not allow more.
# - On a GPU the order is not given. If your answer depends on the order by more than rounding, it
#   is a race.

# %% [markdown]
# ## 0.10 The same tree with another operation
#
# The tree does not care that the operation is an addition. It needs an operation that may be
# applied in any order and grouping. Maximum is one.
#
# It also needs a value for the lanes that find no column, one that changes nothing. For a sum that
# was 0.
#
# **Question.** What is it for a maximum? Try your answer on a row in which all numbers are -200,
# and on a row in which all are `-inf`, minus infinity. (Such rows are no curiosity. From stage 6 on,
# `-inf` marks what must not be looked at.)
#
# <details><summary>Answer</summary>
#
# Not 0: the maximum of -200 and 0 is 0, which is not in the row. Not the most negative `float32`
# either: it is larger than `-inf`. The right value is `-inf` itself, but WGSL has no way to write
# it, and refuses `-1.0 / 0.0`.
#
# There is a way round. A maximum does not change when an element is looked at twice. So every lane
# may begin with an element of its own row, and column 0 is always there.
#
# </details>
#
# ### Exercise: `row_max.wgsl`
#
# As `row_sum`, with `max`. This time you declare the workgroup memory yourself.
#
# Think about this first:
# - With which element does each lane begin?
# - `max` on floats is exact. What does that mean for the order?

# %% tags=["demo"]
gs.show_kernel("row_max.wgsl")

# %% tags=["check"]
gs.check("row_max.wgsl")

# %% [markdown]
# ## 0.11 When everybody writes to the same place
#
# A histogram counts how often each value occurs. In Python: `for v in x: counts[v] += 1`.
#
# In a kernel there is one invocation per element of `x`. Each reads its value `k` and adds 1 to
# `counts[k]`. Many invocations may have the same `k`.
#
# **Question.** Two invocations run `counts[k] = counts[k] + 1` at the same time, and `counts[k]` is
# 7. What can it be afterwards?
#
# <details><summary>Answer</summary>
#
# 9 if one comes after the other. 8 if both read 7 before either has written: both write 8, and one
# count is lost.
#
# </details>
#
# ![A lost update, and an atomic one](figures/lost_update.svg)
#
# This is a race too, and a barrier cannot help: these invocations may belong to different
# workgroups, and a barrier holds only within one.
#
# The remedy is an **atomic** operation. `atomicAdd(&counts[k], 1u)` reads, adds and writes as one
# step that no other invocation can interrupt. The order in which the invocations get their turn is
# still not given. For a count it does not matter.
#
# Atomic operations work on integers only, and the array must say so: `array<atomic<u32>>`. The
# binding in the file does.
#
# ### Exercise: `histogram.wgsl`
#
# `counts[k]` is how many `i` have `x[i] == k`, for `0 <= k < n_bins`. Values outside are not counted.
#
# Think about this first:
# - `x` holds signed integers, `n_bins` is unsigned. WGSL does not compare the two. What does
#   `u32(v)` give when `v` is -1, and is that a danger or a help?
# - Two guards are needed. Which `i` have no element? Which values have no bin?
# - `counts` arrives as zeros. Whoever clears it again inside the kernel may clear it after others
#   have counted.

# %% tags=["demo"]
gs.show_kernel("histogram.wgsl")

# %% tags=["check"]
gs.check("histogram.wgsl")

# %% [markdown]
# Now on real data. Each pixel of the digits is one of 17 grey levels, and there are 115,008
# pixels. So 115,008 invocations add to only 17 counters.
#
# **Question.** What shape do you expect: a hill in the middle, or something else?

# %% tags=["demo"]
histogram = gs.kernel("histogram.wgsl")
levels = np.rint(16 * images).astype(np.int32).reshape(-1)
level_counts = histogram(x=levels, n_bins=17)
figure, axis = plt.subplots(figsize=(6, 2.6))
axis.bar(range(17), level_counts, color="#1f6fb2")
axis.set_xticks(range(0, 17, 2))
axis.set_xlabel("grey level (0 = paper, 16 = ink)")
axis.set_ylabel("pixels")
figure.tight_layout()
plt.show()
print(
    f"{level_counts.sum()} of {levels.size} pixels counted, {level_counts[0] / levels.size:.0%} are bare paper"
)

# %% [markdown]
# Two peaks, paper and ink, with a plain of edge pixels between them. Not one of 115,008 was lost,
# although about half of all invocations wanted the same counter.
#
# Many hands on one counter means a queue at that counter. Can you think of a way to shorten it? One
# way: each workgroup counts on its own board first, with atomics in workgroup memory, and adds its
# 17 totals to `counts` at the end. You may try it. The grader accepts any way that is right.

# %% [markdown]
# ## 0.12 The run: six kernels read digits
#
# Time to put the pieces together. The plan is the simplest that could work:
#
# 1. For each digit 0 to 9, take all training pictures of it and compute their **mean picture**.
# 2. For a new picture, measure the squared distance to each of the ten mean pictures.
# 3. Answer with the nearest.
#
# **Question.** How good can this be? Guessing gives 1 in 10. Write your estimate down.
#
# Each kernel has a place:
#
# | step | kernel |
# |---|---|
# | how many pictures of each digit | `histogram` |
# | pictures in rows → pixels in rows | `transpose` |
# | total ink per pixel | `row_sum` |
# | divide by the number of pictures | `scale_shift` |
# | picture minus mean picture | `scale_shift`, `add_forward` |
# | sum of squares | `row_sum` (NumPy squares: you have no kernel for that yet) |
# | smallest distance = largest negative distance | `scale_shift`, `row_max` |
# | table of right and wrong answers | `histogram` |

# %% tags=["demo"]
from gradschool.data import split

row_max = gs.kernel("row_max.wgsl")
x_train, y_train, x_test, y_test = split(images, labels)


def mean_pictures(x, y):
    """Return the mean picture of each digit, (10, 64), made with the learner's kernels."""
    counts = histogram(x=y.astype(np.int32), n_bins=10)
    means = []
    for digit in range(10):
        pixels = transpose(x=x[y == digit])
        totals = row_sum(x=pixels)
        means.append(scale_shift(x=totals, alpha=1.0 / float(counts[digit]), beta=0.0))
    return np.stack(means)


def nearest(x, means):
    """Return for each picture the digit whose mean picture is nearest."""
    minus_means = scale_shift(x=means.reshape(-1), alpha=-1.0, beta=0.0).reshape(10, 64)
    scores = []
    for minus_mean in minus_means:
        difference = add(a=x.reshape(-1), b=np.tile(minus_mean, len(x)))
        squares = np.square(difference).reshape(len(x), 64)
        scores.append(scale_shift(x=row_sum(x=squares), alpha=-1.0, beta=0.0))
    scores = transpose(x=np.stack(scores))
    best = row_max(x=scores)
    return np.argmax(scores == best[:, None], axis=1)


means = mean_pictures(x_train, y_train)
predicted = nearest(x_test, means)
confusion = histogram(x=(10 * y_test + predicted).astype(np.int32), n_bins=100).reshape(10, 10)
accuracy = float(np.trace(confusion) / confusion.sum())

show_images(means, [str(digit) for digit in range(10)])
print(f"{np.trace(confusion)} of {confusion.sum()} unseen digits read correctly: accuracy {accuracy:.3f}")

# %% [markdown]
# Which digits does it confuse? The table has a row per true digit and a column per answer. The
# number in it counts test pictures.

# %% tags=["demo"]
figure, axis = plt.subplots(figsize=(4.4, 4.2))
axis.imshow(confusion, cmap="Blues")
for row in range(10):
    for col in range(10):
        if confusion[row, col]:
            colour = "white" if confusion[row, col] > confusion.max() / 2 else "black"
            axis.text(col, row, confusion[row, col], ha="center", va="center", color=colour, fontsize=9)
axis.set_xticks(range(10))
axis.set_yticks(range(10))
axis.set_xlabel("answer")
axis.set_ylabel("true digit")
figure.tight_layout()
plt.show()

numpy_means = np.stack([x_train[y_train == digit].mean(axis=0, dtype=np.float64) for digit in range(10)])
numpy_distance = np.square(x_test[:, None, :] - numpy_means).sum(axis=-1)
numpy_accuracy = float(np.mean(numpy_distance.argmin(axis=1) == y_test))
print(f"the same in NumPy, float64: {numpy_accuracy:.3f}")
print(f"largest difference of a mean pixel: {np.abs(means - numpy_means).max():.1e}")

# %% [markdown]
# About 0.92, and NumPy in double precision reads the same digits. Keep the number. In stage 1 a
# single layer *learns* its ten pictures instead of averaging them, and does better.
#
# ## What you can do now
#
# - Write the step instead of the loop, and find your element from `global_id`.
# - Guard every edge, one test per axis.
# - Send the few shared numbers in a uniform.
# - Let a workgroup work together: load, barrier, fold, barrier.
# - Pick a starting value that changes nothing: 0 for a sum, an element of the row for a maximum.
# - Use an atomic where many write to one place.
# - Say why two correct sums differ in the last digits, and how far they may.
#
# Everything later is made of these parts. A matrix product is `row_sum` with a multiplication. A
# softmax is `row_max`, then `row_sum`. Attention is both.
#
# **Where to look things up**
# - *WebGPU Shading Language*, W3C: [w3.org/TR/WGSL](https://www.w3.org/TR/WGSL/). The chapter on
#   built-in functions is the one you will open most.
# - M. Harris 2007, *Optimizing Parallel Reduction in CUDA*, NVIDIA: the tree and how it was made fast.
# - N. Higham 2002, *Accuracy and Stability of Numerical Algorithms*, chapter 4: sums and their order.
