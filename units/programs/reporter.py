"""Posts the machine's load to the board, again and again; fails when the board does not take it."""

import os
import time
import urllib.request

board, every = os.environ["BOARD"], float(os.environ["EVERY"])
while True:
    text = "load of the machine: {:.2f} {:.2f} {:.2f}".format(*os.getloadavg())
    with urllib.request.urlopen(board, data=text.encode(), timeout=5) as answer:
        answer.read()
    print(text)
    time.sleep(every)
