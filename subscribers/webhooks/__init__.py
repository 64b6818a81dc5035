"""Telling other programs what happens, by signed POST as Standard Webhooks has it.

`events` writes down what is to be told, in the transaction in which it happened; `calling` tells
it; `endpoints` is what people do about it; `signing` is the signature.
"""
