-- Decisions of operators, which stand beside those of the guilds' admins and change none of them.
ALTER TABLE plugins
    ADD COLUMN disabled_by_operator TEXT; -- Why no version of it runs, whatever `enabled` says; NULL: it may run

-- Guilds whose messages wait in the queue. No reference to guilds, as in guild_budgets.
CREATE TABLE guild_pauses (
    guild_id UUID PRIMARY KEY,
    reason TEXT NOT NULL,
    paused_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);

-- Limits of a minute that are higher than the configured ones until a date. NULL: the configured one.
CREATE TABLE raised_budgets (
    guild_id UUID PRIMARY KEY,
    until TIMESTAMPTZ NOT NULL,
    reason TEXT NOT NULL,
    fuel_per_minute BIGINT CHECK (fuel_per_minute > 0),
    sends_per_minute BIGINT CHECK (sends_per_minute > 0),
    log_bytes_per_minute BIGINT CHECK (log_bytes_per_minute > 0),
    raised_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
);
