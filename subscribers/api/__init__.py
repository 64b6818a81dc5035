"""What programs of others may ask and do. Each route parses, calls one flow function, answers.

No answer holds an address: who asks has it, and whoever reads along learns none.
"""
