"""curate: from a folder of images to a versioned training set that people can trust."""
