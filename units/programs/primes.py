"""Looks for primes half of the time, as far as it is let, and says now and then how far it got."""

import itertools
import time

said = paused = time.monotonic()
for number in itertools.count(3, 2):
    prime = all(number % divisor for divisor in range(3, int(number**0.5) + 1, 2))
    now = time.monotonic()
    if prime and now - said > 30:
        said = now
        print("still prime:", number)
    if now - paused > 0.05:
        time.sleep(0.05)
        paused = time.monotonic()
