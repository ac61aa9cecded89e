"""The making of the embedded music model: a composer, Freedoom's music, the training, the export."""
