"""Small matrices times many columns, with columns in the vector registers.

Numba's loops over a few columns neither keep sums in registers nor fuse multiplication and addition; written as
vectors, tiles of four rows by sixteen columns run at the speed of a BLAS on a 9 x 9 matrix and give each element the same bits
wherever its column lies: products are added one by one, in the order of the inner index.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hopcast.dynamics.arrays import Floats, leaf

LANES = 8
"""Columns come in multiples of it."""
_BYTES = 8


def _tile(rows: int, vectors: int) -> Any:
    """Return a function (a, x, out, i, c) that fills rows `i` to `i + rows`, columns from `c`, of a product."""

    @intrinsic
    def fill(_typing: Any, a: Any, x: Any, out: Any, i: Any, c: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            left, right, result = (
                context.make_array(kind)(context, builder, value)
                for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
            )
            i, c = arguments[3:]
            whole, vector = i.type, ir.VectorType(ir.DoubleType(), LANES)
            depth = cgutils.unpack_tuple(builder, right.shape)[0]

            def place(array: Any, row: Any, column: Any) -> Any:
                stride = builder.udiv(cgutils.unpack_tuple(builder, array.strides)[0], whole(_BYTES))
                return builder.gep(array.data, [builder.add(builder.mul(row, stride), column)])

            def columns(pointer: Any, number: int) -> Any:
                return builder.bitcast(builder.gep(pointer, [whole(LANES * number)]), vector.as_pointer())

            before, loop = builder.block, builder.append_basic_block("depth")
            after = builder.append_basic_block("done")
            builder.branch(loop)
            builder.position_at_end(loop)
            j = builder.phi(whole)
            sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(rows)]
            row_of_x = place(right, j, c)
            inputs = [builder.load(columns(row_of_x, v), align=_BYTES) for v in range(vectors)]
            nothing = ir.Constant(vector, ir.Undefined)
            first = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            totals: list[list[Any]] = []
            for r in range(rows):
                element = builder.load(place(left, builder.add(i, whole(r)), j))
                alone = builder.insert_element(nothing, element, ir.IntType(32)(0))
                factor = builder.shuffle_vector(alone, nothing, first)
                totals.append([])
                for v in range(vectors):
                    product = builder.fmul(factor, inputs[v], flags=("contract",))
                    totals[r].append(builder.fadd(product, sums[r][v], flags=("contract",)))
                    sums[r][v].add_incoming(ir.Constant(vector, [0.0] * LANES), before)
                    sums[r][v].add_incoming(totals[r][v], loop)
            following = builder.add(j, whole(1))
            j.add_incoming(whole(0), before)
            j.add_incoming(following, loop)
            builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
            builder.position_at_end(after)
            for r in range(rows):
                row_of_out = place(result, builder.add(i, whole(r)), c)
                for v in range(vectors):
                    builder.store(totals[r][v], columns(row_of_out, v), align=_BYTES)
            return context.get_dummy_value()

        return types.void(a, x, out, types.intp, types.intp), build

    return fill


_four, _three, _two, _one = (_tile(rows, 2) for rows in (4, 3, 2, 1))
_four_narrow, _one_narrow = _tile(4, 1), _tile(1, 1)


@leaf
def multiply(a: Floats, x: Floats, out: Floats) -> None:
    """Fill `out` [n, m] with the product of `a` [n, k] and `x` [k, m]; `m` a multiple of 8, rows contiguous."""
    n, m = a.shape[0], x.shape[1]
    wide = m - m % (2 * LANES)
    for c in range(0, wide, 2 * LANES):
        i = 0
        while i + 4 <= n:
            _four(a, x, out, i, c)
            i += 4
        if n - i == 3:
            _three(a, x, out, i, c)
        elif n - i == 2:
            _two(a, x, out, i, c)
        elif n - i == 1:
            _one(a, x, out, i, c)
    if wide < m:
        i = 0
        while i + 4 <= n:
            _four_narrow(a, x, out, i, wide)
            i += 4
        while i < n:
            _one_narrow(a, x, out, i, wide)
            i += 1
