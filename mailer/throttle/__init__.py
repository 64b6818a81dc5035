"""How fast a submission server and each of its lanes may go, and when they have to stop.

`gate` is what the sending loop asks; `reactions` and `guard` are what it reports to. Permits live
in Redis; all that must survive is in the rows of Throttle, WarmUpDay and LaneHour. Knows no
edition and no delivery.
"""
