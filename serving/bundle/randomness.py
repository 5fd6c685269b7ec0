"""TensorFlow's stateless random numbers in NumPy: Philox 4x32-10 (Salmon et al., 2011), as its CPU kernels use it."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Words = NDArray[np.uint64]

ROUNDS = 10
MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
STEPS = np.array([0x9E3779B9, 0xBB67AE85], np.uint64)
SCRAMBLING_KEY = np.array([0x3EC8F720, 0x02461E29], np.uint64)
LOW, WORD = np.uint64(0xFFFFFFFF), np.uint64(32)


def uniform(seed: int, stream: int, size: int) -> Floats:
    """The same numbers as `tf.random.stateless_uniform([size], [seed, stream])`, bit by bit.

    Args:
        seed: 64 bits, signed or unsigned.
        stream: distinguishes independent uses of the same seed.
        size: how many numbers.

    Returns:
        float32[size] in [0, 1).

    """
    return fractions(bits(seed, stream, size))


def normal(seed: int, stream: int, size: int) -> Floats:
    """The same numbers as `tf.random.stateless_normal([size], [seed, stream])`, except for rounding.

    Pairs of uniform numbers become pairs of normal ones (Box and Muller, 1958). Arguments as for `uniform`.
    """
    first, second = fractions(bits(seed, stream, size + size % 2)).reshape(-1, 2).T
    radius = np.sqrt(np.float32(-2) * np.log(np.maximum(first, np.float32(1e-7))))
    angle = (2 * np.pi * second.astype(np.float64)).astype(np.float32)
    return np.stack([np.sin(angle) * radius, np.cos(angle) * radius], axis=1).ravel()[:size]


def fractions(words: Words) -> Floats:
    """The lowest 23 bits of each word as the mantissa of a number in [1, 2), minus 1."""
    mantissas = (words & np.uint64(0x7FFFFF)).astype(np.uint32) | np.uint32(127 << 23)
    return mantissas.view(np.float32) - np.float32(1)


def bits(seed: int, stream: int, size: int) -> Words:
    """Random words of 32 bits."""
    scrambled = philox(np.array([[*words_of(seed), *words_of(stream)]], np.uint64), SCRAMBLING_KEY)[0]
    counters = np.zeros((-(-size // 4), 4), np.uint64)
    counters[:, 0] = np.arange(len(counters))
    counters[:, 2:] = scrambled[2:]
    return philox(counters, scrambled[:2]).ravel()[:size]


def words_of(number: int) -> tuple[int, int]:
    """The low and the high half of 64 bits."""
    return number & 0xFFFFFFFF, number >> 32 & 0xFFFFFFFF


def philox(counters: Words, key: Words) -> Words:
    """Scramble counters, uint64[n, 4] of 32 bits each, with a key of two words."""
    words = counters
    for turn in range(ROUNDS):
        keys = key + np.uint64(turn) * STEPS & LOW
        products = words[:, ::2] * MULTIPLIERS
        high, low = products >> WORD, products & LOW
        first, third = high[:, 1] ^ words[:, 1] ^ keys[0], high[:, 0] ^ words[:, 3] ^ keys[1]
        words = np.stack([first, low[:, 1], third, low[:, 0]], axis=1)
    return words
