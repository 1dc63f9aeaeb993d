"""A seeded fleet of centrifugal pumps: what their sensors would measure, and what was really wrong with them.

Here, one idea a file: the pump's curves (`pump`) and the types on the market (`catalogue`), what is asked of it
(`load`), how it fails (`wear`, `cavitation`, `bearing`), how its sensors fail (`sensor_faults`), when (`faults`: the
ground truth), how messages get lost on the way (`delivery`); `machine` joins these into one pump's readings, `fleet`
orders all pumps' readings in event time, `plant` tells the same fleet as static data.
Everything is a pure function of seed and time: the same seed and start give the same bytes, however they are sliced.

Not here: Kafka, the lake, wall clocks and pacing. Left out on purpose: start-up transients, electrical faults, fluids
other than water.
"""
