"""Models that forget a person without being trained again from the start, and prove it.

Numerics: numpy and scikit-learn only (the extra ``models``), no I/O. One module per method:
``linear`` · ``counts`` · ``certified`` · ``removal`` · ``sharded``; what they share: ``guarantee``
(what a removal promises and the number that shows it), ``people`` (who was in the training, by
keyed hash), ``moments`` (means and scatter that rows are taken out of).

Every estimator is one of scikit-learn's: ``fit``, ``predict``, ``get_params``, pickled or saved
with skops. Three things are added:

- ``fit(X, y, people, key)``: whose each row is, and the key of this model's own;
- ``forget(person_keys, rows, key)``: takes people out and returns a ``Certificate``; what it
  cannot do exactly it refuses (``CannotForget``), and then nothing has changed. ``linear`` and
  ``counts`` take the people's own rows, the others the rows that remain; rows of the wrong sort
  are refused;
- ``certify(X, y, …)``: asks the remaining rows, independently of what ``forget`` has computed.

None holds a training row. What each holds about people is a keyed hash per person and a seal of
their rows (``people``). Old and new model together tell more than either: purge the old one.
"""

from erasure.domain.errors import DriverMissing

try:
    import numpy
    import sklearn
except ImportError:
    raise DriverMissing("models that forget", "models") from None

del numpy, sklearn
