"""Lesson 16's pictures show what was computed: a queue in time, levels of memory, programs."""

from collections import Counter

import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch

from mrcnn_edu import viz
from mrcnn_edu.course import gpu_kernels
from mrcnn_edu.course.small_triton import Kernel, tl, touched, triton
from mrcnn_edu.course.widgets.gpu import CARDS, roi_align_work
from mrcnn_edu.viz.diagrams.programs import Access, Touched
from mrcnn_edu.viz.diagrams.queue import idle
from mrcnn_edu.viz.style import BOTH, HIGHLIGHT, LIGHT, OTHER_COLORS

# ---- a queue in time ----


def test_a_kernel_begins_when_it_was_launched_and_the_one_before_is_done():
    times = viz.queue_times([20, 1, 8], launch=5)
    assert times.launches == [(0, 5), (5, 10), (10, 15)]
    assert times.kernels == [(5, 25), (25, 26), (26, 34)]
    assert times.total == 34 and times.busy == 29 / 34 and times.waits == []


def test_after_a_read_python_begins_when_the_gpu_is_done():
    times = viz.queue_times([20, 1, 8], launch=5, reads=[0])
    assert times.waits == [(5, 25)] and times.launches[1] == (25, 30)
    assert times.kernels[1:] == [(30, 31), (35, 43)]
    assert idle(times) == [(0, 5), (25, 30), (31, 35)]


@pytest.mark.parametrize(("launch", "kernel"), [(5, 20), (5, 2), (3, 3), (0, 4), (4, 0)])
def test_the_total_of_equal_kernels_is_the_formulas(launch, kernel):
    for n in (1, 2, 7):
        total = viz.queue_times([kernel] * n, launch).total
        assert total == launch + (n - 1) * max(launch, kernel) + kernel


def test_what_is_in_the_queue_has_been_launched_and_has_not_begun():
    counts = viz.queue_times([20] * 6, launch=5).queued()
    assert [n for _, n in counts] == [0, 0, 1, 2, 3, 3, 4, 3, 2, 1, 0]
    assert max(n for _, n in viz.queue_times([2] * 9, launch=5).queued()) == 0


def test_queues_that_are_empty_or_impossible():
    assert viz.queue_times([], 5).total == viz.queue_times([], 5).busy == 0
    viz.show_queue({"nothing": viz.queue_times([], 5)}).png()
    with pytest.raises(ValueError, match="negative"):
        viz.queue_times([1, -1], 5)


def test_the_title_of_a_queue_says_its_time_and_how_busy_the_gpu_is():
    picture = viz.show_queue({"small": viz.queue_times([2] * 12, 5)})
    texts = [text.get_text() for text in picture.axes[0].texts]
    assert "small: 62 µs, the GPU computes for 39 % of the time" in texts


# ---- levels of memory ----


def test_work_stands_beside_the_cache_if_it_fits_and_beside_memory_otherwise():
    texts = viz.show_memory_levels({"little": 50e6, "much": 51e6}).axes[0].texts
    found = {text.get_text(): text.get_position()[1] for text in texts}
    level = {name.split(",")[0]: y for name, y in found.items()}
    assert abs(found["room for\nlittle, 50 MB"] - level["L2 cache"]) < 0.2
    assert abs(found["too large for L2:\nmuch, 51 MB"] - level["memory"]) < 0.2
    assert "registers, 132 × 256 KB" in found and {"3.35 TB/s", "64 GB/s"} < set(found)


# ---- what programs touch ----


@Kernel
def add(x, y, out, n, BLOCK):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(x + i, i < n) + tl.load(y + i, i < n), i < n)


def test_each_value_is_read_and_written_by_the_program_of_its_block():
    x, y, out = (torch.ones(10) for _ in range(3))
    work = touched(add, (3,), x, y, out, 10, BLOCK=4)
    assert work.shapes == {"x": (10,), "y": (10,), "out": (10,)}
    assert work.programs() == [(0,), (1,), (2,)]
    for name, writes in (("x", False), ("y", False), ("out", True)):
        assert work.of(name, writes) == {i: [(i // 4,)] for i in range(10)}
        assert work.masked(name, writes) == {10, 11}
    assert work.of("out", False) == work.of("x", True) == {}


def test_the_arguments_stay_as_they_are():
    memory = torch.zeros(12)
    x, out = torch.ones(4), memory[2:6]
    touched(add, (1,), x, x, out, 4, 4)
    assert memory.sum() == 0


def test_a_grid_of_two_axes_and_rows_that_two_programs_read():
    rows, sums = torch.rand(5, 6), torch.zeros(2, 6)
    index, weight = torch.tensor([[0, 3], [3, 3]]), torch.rand(2, 2)
    arguments = rows, index, weight, sums, 2, 6
    work = touched(gpu_kernels.weighted_gather, (2, 2), *arguments, BLOCK=4)
    assert set(work.programs()) == {(0, 0), (1, 0), (0, 1), (1, 1)}
    users = work.of("rows", False)
    assert set(users) == {*range(6), *range(18, 24)}
    assert users[18] == [(0, 0), (1, 0)] and users[23] == [(0, 1), (1, 1)] and users[0] == [(0, 0)]


def test_squares_have_the_colors_of_their_programs():
    accesses = [
        Access((0,), "a", False, [0, 1], []),
        Access((1,), "a", False, [1, 2], [4]),
        Access((1,), "b", True, [3], []),
    ]
    work = Touched({"a": (4,), "b": (2, 2)}, accesses)
    first, second = OTHER_COLORS[:2]
    for highlight, expected in (
        (None, [first, BOTH, second, "#ffffff", "#ffffff", "#ffffff", "#ffffff", second]),
        ((1,), [LIGHT, HIGHLIGHT, HIGHLIGHT, "#ffffff", *["#ffffff"] * 3, HIGHLIGHT]),
    ):
        (axes,) = viz.show_programs(work, highlight).axes
        found = Counter()
        for patch in axes.patches:
            if isinstance(patch, PathPatch) and patch.get_fill():
                n_squares = len(patch.get_path().vertices) // 5
                found[to_hex(patch.get_facecolor())] += n_squares
        assert found == Counter(color.lower() for color in expected)
        texts = [text.get_text() for text in axes.texts]
        assert "masked" in texts and ("several programs" in texts) == (highlight is None)


def test_what_is_touched_beyond_the_end_gets_a_cross():
    inside, beyond = (
        viz.show_programs(Touched({"a": (4,)}, [Access((0,), "a", True, positions, [])]))
        for positions in ([0, 3], [0, 3, 4, 5])
    )
    assert (
        len(beyond.axes[0].patches) - len(inside.axes[0].patches) == 5
    )  # their outline, two lines each


def test_a_picture_of_nothing_is_drawn():
    assert viz.show_programs(Touched({"a": (4,)}, [])).png()


# ---- the stand-in for Triton ----


def test_loads_and_stores_keep_to_their_masks():
    def kernel(x, out, n, BLOCK):
        i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
        values = tl.load(x + i, i < n, other=-1)
        tl.store(i + out, tl.where(values > 0, values, tl.minimum(values, -2)), i < n + 1)

    memory = torch.full((12,), 7.0)
    triton.jit(kernel)[(triton.cdiv(5, 4),)](torch.arange(5) + 1.0, memory[1:9], 5, BLOCK=4)
    assert memory.tolist() == [7, 1, 2, 3, 4, 5, -2, *[7] * 5]


def test_a_store_without_a_mask_writes_into_the_memory_behind():
    def kernel(out):
        tl.store(out + tl.arange(0, 4), 1)

    memory = torch.zeros(6)
    Kernel(kernel)[(1,)](memory[:2])
    assert memory.tolist() == [1, 1, 1, 1, 0, 0]
    with pytest.raises(IndexError):
        Kernel(kernel)[(1,)](torch.zeros(2))


def test_an_atomic_addition_counts_an_address_twice_if_it_occurs_twice():
    def kernel(index, out):
        tl.atomic_add(out + tl.load(index + tl.arange(0, 4)), 1.0)

    out = torch.zeros(3)
    Kernel(kernel)[(2,)](torch.tensor([0, 2, 2, 2]), out)
    assert out.tolist() == [2, 0, 6]


def test_blocks_of_two_axes_are_summed_along_one():
    def kernel(rows, out, n, C):
        at = tl.arange(0, 2)[:, None] * C + tl.arange(0, C)[None, :]
        total = tl.zeros([3], tl.float32) + tl.sum(tl.load(rows + at), axis=0)
        tl.store(out + tl.arange(0, C), tl.maximum(total, tl.load(out)))

    out = torch.tensor([4.0, 0, 0])
    Kernel(kernel)[(1,)](torch.arange(6.0), out, 2, 3)
    assert out.tolist() == [4, 5, 7]


# ---- machines ----


def test_bytes_limit_a_1_x_1_convolution_with_tf32_on_all_three_cards():
    n, channels = 100 * 152, 256
    intensity = 2 * n * channels**2 / (4 * (2 * n * channels + channels**2))
    for name in ("A100", "H100", "GeForce RTX 4090"):
        card = CARDS[name]
        assert intensity < card.tf32 / card.bandwidth
        assert card.float32 <= card.tf32 < card.bfloat16
        operations, read, written = roi_align_work(512, 256, 2, 4)
        assert operations / (read + written) < card.float32 / card.bandwidth / 4


def test_a_dashed_roof_has_the_color_of_the_one_before():
    machines = {"a": (100.0, 10.0), "a, slower": (50.0, 10.0), "b": (80.0, 4.0)}
    (axes,) = viz.show_roofline(machines, {"work": 2.0}, dashed=["a, slower"]).axes
    lines = {line.get_label(): line for line in axes.lines}
    colors = [lines[name].get_color() for name in machines]
    assert colors[0] == colors[1] != colors[2]
    assert [lines[name].get_linestyle() for name in machines] == ["-", "--", "-"]
