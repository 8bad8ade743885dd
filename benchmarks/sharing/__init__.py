"""Several programs at one queue, one of them slow: who holds what, and what that does to the tail.

    python -m benchmarks.sharing
    python -m benchmarks.sharing --broker postgresql --picture sharing.svg --json sharing.json

Three programs take from one stream or table until all of it has ended, each with two workers. On one of them
an item takes ten times as long. The same scene is run by Pullahead, and by a plain prefetch: each program
takes up to 64 items from the same source, computes them one after the other with two workers, says of each
that it is done, and gives nothing back.

Rules:
1. Items sleep instead of computing, so that three programs fit on two cores.
2. Workers are there before the clock begins, and all programs begin together.
3. A program has nothing to do when it computes nothing, holds nothing, and nothing is ready in the queue. The
   tail is from the first such moment of any program to the end of the last item.
4. What a program holds unstarted is what its source handed out and did not get back, less what has begun:
   noted where the program calls its source, and where the work begins. All read one clock.
5. The limit is what nobody beats: all items, divided by what all workers end in a second.
"""
