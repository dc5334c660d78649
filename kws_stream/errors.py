"""What can go wrong, as a user meets it.

KwsError
├── ModelError        the model file is missing, foreign, damaged, or computes something else
├── AudioError        the audio file or array cannot be read
├── DeviceError       the microphone cannot be opened, or went away
└── SubmissionError   the table of labels cannot be written, or is not what it must be
"""


class KwsError(Exception):
    """Base of every error that kws_stream raises on purpose; its text is one line for a user."""


class ModelError(KwsError):
    """The model cannot be loaded or must not be trusted."""


class AudioError(KwsError):
    """The audio cannot be read or holds values that are no samples."""


class DeviceError(KwsError):
    """The audio device cannot be found or opened, or stopped delivering."""


class SubmissionError(KwsError):
    """A submission or a solution cannot be read or written, or does not fit the clips."""
