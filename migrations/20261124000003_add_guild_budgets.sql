-- What a guild has used of its budget in its last minute with a run, and when it was last over it. No reference to
-- guilds: a guild that is being deleted must not hold up the batch that writes this.
CREATE TABLE guild_budgets (
    guild_id UUID PRIMARY KEY,
    minute TIMESTAMPTZ NOT NULL,
    fuel_used BIGINT NOT NULL,
    sends BIGINT NOT NULL,
    log_bytes BIGINT NOT NULL,
    delayed BIGINT NOT NULL, -- Deliveries of messages put off in that minute
    over_at TIMESTAMPTZ,
    over_reason TEXT
);
