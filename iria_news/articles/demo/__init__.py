"""The demo newsroom: what a first start publishes, so that there is something to read and to send.

Texts and charts are our own and name no real or invented person. `newsroom` loads them.
"""
