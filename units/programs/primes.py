"""Finds primes as fast as it is let, and says how far it got; starts over before numbers get large."""

import itertools
import time

while True:
    said = time.monotonic()
    for number in itertools.count(3, 2):
        if all(number % divisor for divisor in range(3, int(number**0.5) + 1, 2)):
            if time.monotonic() - said > 30:
                said = time.monotonic()
                print("still prime:", number)
            if number > 50_000_000:
                break
