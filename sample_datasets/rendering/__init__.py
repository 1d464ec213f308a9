"""A small renderer for photographs of road signs: numpy and Pillow, nothing else.

signs      the painted faces, and how years outdoors change them
backdrops  what stands behind a sign: roads, houses, trees, walls, sky
weather    light, fog, rain and snow, by day and by night
scene      one sign somewhere in one backdrop, as the light that reaches a lens
camera     from that light to an 8-bit picture: lens, exposure, noise
off_topic  pictures that are not of a road sign
faults     damage to files and edited copies
light      arithmetic that all of them share

Everything random comes from the `numpy.random.Generator` passed in, so equal seeds give equal pictures.
"""
