def test_what_is_said_to_be_kept_is_kept() -> None:
    """A loop one step longer would be computed anew at every visit: minutes become hours."""
    from hopcast.dynamics import loop

    for n_states, n_substeps in ((43, 44), (9, 3), (64, 100)):
        n_steps = loop.steps_kept(n_states, n_substeps)
        for extra, kept in ((0, True), (1, False)):
            needed = 16.0 * (n_steps + extra) * n_substeps * n_states * loop._width(n_states)
            assert (needed <= loop.MOST_BYTES) is kept
