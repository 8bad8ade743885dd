"""The machines that decide, without any input or output.

Nothing in here waits, reads a clock, draws a random number, opens a socket or logs. Every machine takes
what happened and when, `(event, now)`, and answers with effects and the next moment it wants to be asked
again. So the embedded engine, Ray and a simulator run the very same decisions, and a recorded run can be
played again from its events.
"""
