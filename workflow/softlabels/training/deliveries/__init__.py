"""What a network is shown of its label in each epoch: one module a delivery.

``targets(data, epoch, seed, options)`` gives the targets of all items in an epoch (from 1), float32 ``[N, C]``; rows of
items without a label are not looked at. ``data`` is the :class:`softlabels.training.data.Run`. It is asked once an
epoch, and once more where a training goes on in it: whatever is drawn has to be keyed by seed and epoch.
"""
