"""A file of readers on its way in: reading -> columns -> rows -> judging -> applying -> undoing.

`passes` leads a whole file through these steps, and `jobs` knows who may work at it.
"""
