"""What a raylet starts: asks for a worker that has the arguments, surroundings and files of this process."""

import os
import signal
import socket
import sys

address, *arguments = sys.argv[1:]
surroundings = [f"{name}={value}" for name, value in os.environ.items()]
blocked = [str(int(one)) for one in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as nursery:
    nursery.connect(address)
    socket.send_fds(nursery, [b"\0"], [0, 1, 2])
    folder = os.getcwd()  # noqa: PTH109  an import of pathlib would be most of what this takes
    words = folder, ",".join(blocked), str(len(arguments)), *arguments, *surroundings
    nursery.sendall(os.fsencode("\0".join(words)))
