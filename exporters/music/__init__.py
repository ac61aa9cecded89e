"""The making of the embedded music model: a composer, the training, the export, what it is worth."""
