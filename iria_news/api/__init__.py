"""The API for programs of others: what all its routes share. Knows no key and no reader.

The routes themselves belong to the apps, which hang them in by name (`urls.py`).
"""
