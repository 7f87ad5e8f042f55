"""Compiled parsers of numbers in bytes."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

_REACH: Final = 250


def _powers() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    exact = [Fraction(10) ** exponent for exponent in range(-_REACH, _REACH + 1)]
    high = np.array([float(power) for power in exact])
    low = np.array([float(power - Fraction(h)) for power, h in zip(exact, high, strict=True)])
    return high, low


_HIGH, _LOW = _powers()  # 10^-250 ... 10^250 as sums of two doubles


@intrinsic
def _eight_bytes(typing_context: Any, array: Any, index: Any) -> Any:
    """Return the eight bytes of an array from an index on as one integer (they need not be aligned)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        loaded = builder.load(pointer)
        loaded.align = 1
        return loaded

    return types.uint64(array, types.uint64), generate


@intrinsic
def _trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Return the number of zero bits below the lowest one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


_LITTLE: Final = sys.byteorder == "little"
_EIGHT = np.uint64(8)
_BLANKS = np.uint64(0x2020202020202020)
_ZEROS = np.uint64(0x3030303030303030)
_TO_HIGH_BITS = np.uint64(0x7676767676767676)
_HIGH_BITS = np.uint64(0x8080808080808080)
_THREE = np.uint64(3)
_SIXTEEN = np.uint64(16)
_THIRTY_TWO = np.uint64(32)
_SIXTY_FOUR = np.uint64(64)
_PAIRS = np.uint64(0x00FF00FF00FF00FF)
_QUARTETS = np.uint64(0x0000FFFF0000FFFF)
_JOIN_1 = np.uint64(2561)
_JOIN_2 = np.uint64(6553601)
_JOIN_4 = np.uint64(42949672960001)
_WHOLE = np.array([10**k for k in range(9)], dtype=np.uint64)
_ONE = np.uint64(1)
_TEN = np.uint64(10)
_ZERO_DIGIT = np.uint64(48)
_LAST_DIGIT = np.uint64(9)
_TWO = np.uint64(2)
_TWELVE = np.uint64(12)
_TWENTY = np.uint64(20)
_FORTY = np.uint64(40)
_FORTY_EIGHT = np.uint64(48)
_FIFTY_SIX = np.uint64(56)
_ALL_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)
_BYTE = np.uint64(255)
_CAPITAL = np.uint64(0xDF)
_LETTER_E = np.uint64(69)
_PLUS = np.uint64(43)
_MINUS = np.uint64(45)
_EXACT = np.uint64(9007199254740992)


# inlined: a call costs more than a number, because it counts references to its array
@njit(cache=True, nogil=True, inline="always")
def _number(data: Any, start: Any, n: Any) -> tuple[float, Any, int]:
    """Return what `_long_number` returns, quickly for up to 19 digits; unsigned indices need no test for wraparound."""
    i = start
    c = data[i]
    negative = c == 45
    i += np.uint64(negative | (c == 43))
    mantissa = np.uint64(0)
    begin = i
    while i < n:
        digit = np.uint64(data[i]) - _ZERO_DIGIT
        if digit > _LAST_DIGIT:
            break
        mantissa = mantissa * _TEN + digit
        i += _ONE
    digits = np.int64(i - begin)
    exponent = np.int64(0)
    if i < n and data[i] == 46:
        i += _ONE
        begin = i
        while _LITTLE and i + _EIGHT <= n:
            # up to eight digits at once: what follows them is shifted out, so that zeros come before them, and their values
            # in eight bytes are joined to pairs, quartets and one number
            word = _eight_bytes(data, i) ^ _ZEROS
            strange = (word | (word + _TO_HIGH_BITS)) & _HIGH_BITS
            bits = (_trailing_zeros(strange) >> _THREE) << _THREE
            if bits == 0:
                break
            word <<= _SIXTY_FOUR - bits
            word = (word * _JOIN_1) >> _EIGHT
            word = ((word & _PAIRS) * _JOIN_2) >> _SIXTEEN
            word = ((word & _QUARTETS) * _JOIN_4) >> _THIRTY_TWO
            found = bits >> _THREE
            mantissa = mantissa * _WHOLE[found] + word
            i += found
            if found < _EIGHT:
                break
        while i < n:
            digit = np.uint64(data[i]) - _ZERO_DIGIT
            if digit > _LAST_DIGIT:
                break
            mantissa = mantissa * _TEN + digit
            i += _ONE
        exponent = -np.int64(i - begin)
        digits -= exponent
    if digits == 0 or digits > 19:
        value, stop, status = _long_number(data, np.int64(start), np.int64(n))
        return value, np.uint64(stop), status
    if i < n and (data[i] == 101 or data[i] == 69):
        i += _ONE
        c = data[i] if i < n else np.uint8(0)
        minus = c == 45
        i += np.uint64(minus | (c == 43))
        begin = i
        power = np.uint64(0)
        while i < n:
            digit = np.uint64(data[i]) - _ZERO_DIGIT
            if digit > _LAST_DIGIT:
                break
            power = power * _TEN + digit
            i += _ONE
        if i == begin or i - begin > np.uint64(4):
            value, stop, status = _long_number(data, np.int64(start), np.int64(n))
            return value, np.uint64(stop), status
        exponent += -np.int64(power) if minus else np.int64(power)
    if i < n:
        c = data[i]
        if c != 32 and c != 10 and c != 9 and c != 13:
            value, stop, status = _long_number(data, np.int64(start), np.int64(n))
            return value, np.uint64(stop), status
    if mantissa < _EXACT and -22 <= exponent <= 22:
        # one of the two factors is 1: exact, and no branch to guess; the same for the sign
        up: Any = max(exponent, 0)
        down: Any = max(-exponent, 0)
        value = float(np.int64(mantissa)) * _HIGH[_REACH + up] / _HIGH[_REACH + down]
        return value * (1.0 - 2.0 * negative), i, 0
    value, status = _scaled(mantissa, exponent, False)
    return (-value if negative else value), i, status


@njit(cache=True, nogil=True)
def _scaled(mantissa: Any, exponent: Any, cut: bool) -> tuple[float, int]:
    """Return ``mantissa * 10**exponent``, rounded once, and 0; or 1 where that cannot be told."""
    if mantissa == 0 and not cut:
        return 0.0, 0
    if exponent < -_REACH or exponent > _REACH:
        return 0.0, 1
    # mantissa (two parts, each exact) times power (two doubles), the large product split by Veltkamp and Dekker
    tail = np.uint64(0) if mantissa < _EXACT else mantissa & np.uint64(2047)
    a = float(mantissa - tail)
    b = float(tail)
    p = _HIGH[_REACH + exponent]
    product = a * p
    t = 134217729.0 * a
    a1 = t - (t - a)
    a2 = a - a1
    t = 134217729.0 * p
    p1 = t - (t - p)
    p2 = p - p1
    rest = ((a1 * p1 - product) + a1 * p2 + a2 * p1) + a2 * p2
    rest += a * _LOW[_REACH + exponent] + b * p
    value = product + rest
    doubt = value * (2.0**-58 if cut else 2.0**-90)
    if product + (rest + doubt) != product + (rest - doubt):
        return 0.0, 1
    return value, 0


@njit(cache=True, nogil=True)
def _long_number(data: Any, start: int, n: int) -> tuple[float, int, int]:
    """Return value, end and status (0 fine, 1 ask Python, 2 no number) of the number that begins at `start`."""
    i = start
    negative = data[i] == 45
    if negative or data[i] == 43:
        i += 1
    mantissa = np.uint64(0)
    digits = 0
    exponent = 0
    seen = False
    cut = False
    point = False
    while i < n:
        c = data[i]
        if 48 <= c <= 57:
            seen = True
            if digits < 19:
                mantissa = mantissa * np.uint64(10) + np.uint64(c - 48)
                if mantissa > 0:
                    digits += 1
                if point:
                    exponent -= 1
            else:
                cut = cut or c != 48
                if not point:
                    exponent += 1
        elif c == 46 and not point:
            point = True
        else:
            break
        i += 1
    if not seen:
        return 0.0, i, 2
    if i < n and (data[i] == 101 or data[i] == 69 or data[i] == 100 or data[i] == 68 or data[i] == 43 or data[i] == 45):
        bare = data[i] == 43 or data[i] == 45
        if not bare:
            i += 1
        minus = i < n and data[i] == 45
        if i < n and (data[i] == 43 or data[i] == 45):
            i += 1
        first = i
        power: Any = np.int64(0)
        while i < n and 48 <= data[i] <= 57:
            if power < 100000:
                power = power * 10 + np.int64(data[i] - 48)
            i += 1
        if i == first or (bare and i - first != 3):
            return 0.0, i, 2
        exponent += -power if minus else power
    if i < n and data[i] != 32 and data[i] != 10 and data[i] != 9 and data[i] != 13:
        return 0.0, i, 2
    value, status = _scaled(mantissa, exponent, cut)
    return (-value if negative else value), i, status


@njit(cache=True, nogil=True)
def parse_rows_kernel(data: Any, out: Any, pending: Any) -> tuple[int, int, int]:
    """Return the number of rows parsed, of numbers left to Python, and 0, or 1 where the text is no such table."""
    n = np.uint64(data.size)
    rows, columns = out.shape
    row = 0
    column = 0
    n_pending = 0
    i = np.uint64(0)
    while i < n:
        if _LITTLE and i + _EIGHT <= n:
            other = _eight_bytes(data, i) ^ _BLANKS
            if other == 0:
                i += _EIGHT
                continue
            i += _trailing_zeros(other) >> _THREE
        c = data[i]
        if c == 32 or c == 9 or c == 13:
            i += _ONE
        elif c == 10:
            if column > 0:
                if column != columns:
                    return row, n_pending, 1
                row += 1
                column = 0
            i += _ONE
        else:
            if row >= rows or column >= columns:
                return row, n_pending, 1
            value, stop, status = _number(data, i, n)
            if status == 2:
                return row, n_pending, 1
            if status == 1:
                if n_pending == len(pending):
                    return row, n_pending, 1
                pending[n_pending, 0] = row
                pending[n_pending, 1] = column
                pending[n_pending, 2] = i
                pending[n_pending, 3] = stop
                n_pending += 1
            out[row, column] = value
            column += 1
            i = stop
    if column > 0:
        if column != columns:
            return row, n_pending, 1
        row += 1
    return row, n_pending, 0


@njit(cache=True, nogil=True)
def parse_fixed_kernel(data: Any, first: int, width: int, decimals: int, out: Any) -> bool:
    """Parse lines whose numbers all have one sign or blank, one digit, a point, decimals, E, a sign and two digits.

    They end at `first`, ``first + width``, ... in lines of one length, as codes write them: where each begins is known before
    the one before it is read, which lets the processor read several at a time. False where a number is not of this form.
    """
    rows, columns = out.shape
    line = np.uint64(first + (columns - 1) * width + 1)
    if np.uint64(data.size) + _ONE < np.uint64(rows) * line:
        return False
    low = np.uint64(min(decimals, 8))
    high = np.uint64(decimals) - low
    low_mask = _ALL_BITS << (_SIXTY_FOUR - (low << _THREE))
    high_mask = _ALL_BITS << (_SIXTY_FOUR - (high << _THREE)) if high > 0 else np.uint64(0)
    one = _WHOLE[low] * _WHOLE[high]
    before = np.uint64(decimals + 6)
    for row in range(rows):
        end = np.uint64(row) * line + np.uint64(first)
        for column in range(columns):
            lead = np.uint64(data[end - before]) - _ZERO_DIGIT
            sign = data[end - before - _ONE]
            word = _eight_bytes(data, end - _EIGHT)
            power = ((word >> _FORTY_EIGHT) & _BYTE) - _ZERO_DIGIT
            units = (word >> _FIFTY_SIX) - _ZERO_DIGIT
            minus = (word >> _FORTY) & _BYTE
            fine = (lead <= _LAST_DIGIT) & (data[end - before + _ONE] == 46)
            fine &= (sign == 32) | (sign == 45) | (sign == 43)
            fine &= (((word >> _THIRTY_TWO) & _CAPITAL) == _LETTER_E) & (power <= _LAST_DIGIT) & (units <= _LAST_DIGIT)
            fine &= (minus == _MINUS) | (minus == _PLUS)
            word = (_eight_bytes(data, end - _TWELVE) ^ _ZEROS) & low_mask
            strange = (word | (word + _TO_HIGH_BITS)) & _HIGH_BITS
            word = (word * _JOIN_1) >> _EIGHT
            word = ((word & _PAIRS) * _JOIN_2) >> _SIXTEEN
            mantissa = lead * one + (((word & _QUARTETS) * _JOIN_4) >> _THIRTY_TWO)
            if high > 0:
                word = (_eight_bytes(data, end - _TWENTY) ^ _ZEROS) & high_mask
                strange |= (word | (word + _TO_HIGH_BITS)) & _HIGH_BITS
                word = (word * _JOIN_1) >> _EIGHT
                word = ((word & _PAIRS) * _JOIN_2) >> _SIXTEEN
                mantissa += (((word & _QUARTETS) * _JOIN_4) >> _THIRTY_TWO) * _WHOLE[low]
            # blanks from the number before, or the beginning of the line, to the sign
            for k in range((first if column == 0 else width) - decimals - 7):
                fine &= data[end - before - _TWO - np.uint64(k)] == 32
            if not fine or strange != 0:
                return False
            exponent = np.int64(power * _TEN + units)
            exponent = (-exponent if minus == _MINUS else exponent) - decimals
            if mantissa < _EXACT and -22 <= exponent <= 22:
                up: Any = max(exponent, 0)
                down: Any = max(-exponent, 0)
                value = float(np.int64(mantissa)) * _HIGH[_REACH + up] / _HIGH[_REACH + down]
            else:
                value, status = _scaled(mantissa, exponent, False)
                if status != 0:
                    return False
            out[row, column] = value * (1.0 - 2.0 * (sign == 45))
            end += np.uint64(width)
        end -= np.uint64(width)
        if end < np.uint64(data.size) and data[end] != 10:
            return False
    return True


@njit(cache=True, nogil=True)
def parse_frames_kernel(data: Any, starts: Any, out: Any, labels: Any, pending: Any) -> tuple[int, int]:
    """Return -1 or the first frame that cannot be read, and the number of numbers left to Python."""
    n = np.uint64(data.size)
    n_atoms = out.shape[1]
    n_pending = 0
    for frame in range(len(starts)):
        i = np.uint64(starts[frame])
        for atom in range(n_atoms):
            if len(labels) > 0:
                while i < n and (data[i] == 32 or data[i] == 9):
                    i += _ONE
                for k in range(8):
                    if labels[atom, k] == 0:
                        break
                    if i >= n or data[i] != labels[atom, k]:
                        return frame, n_pending
                    i += _ONE
                if i >= n or (data[i] != 32 and data[i] != 9):
                    return frame, n_pending
            for axis in range(3):
                while i < n and (data[i] == 32 or data[i] == 9):
                    i += _ONE
                if i >= n:
                    return frame, n_pending
                value, stop, status = _number(data, i, n)
                if status == 2 or (status == 1 and n_pending == len(pending)):
                    return frame, n_pending
                if status == 1:
                    pending[n_pending, 0] = frame * n_atoms + atom
                    pending[n_pending, 1] = axis
                    pending[n_pending, 2] = i
                    pending[n_pending, 3] = stop
                    n_pending += 1
                out[frame, atom, axis] = value
                i = stop
            while i < n and data[i] != 10:
                if data[i] != 32 and data[i] != 9 and data[i] != 13:
                    return frame, n_pending
                i += _ONE
            i += _ONE
    return -1, n_pending
