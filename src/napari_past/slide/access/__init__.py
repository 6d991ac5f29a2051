"""Bytes of a slide's files, by ranges and up to limits, from disks, web servers and buckets.

`folder` and `range_file` are what readers of formats see; `remote` is what lies at an address,
`web` and `buckets` are its wires, and `patience` waits for mounts and networks that fail for a
while.
"""
