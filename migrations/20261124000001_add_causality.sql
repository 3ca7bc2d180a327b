-- What a run's messages go back to, so that bots that answer bots come to an end, and the digest of what it was given:
-- the same message id with another body is noticed. Rows of the version before have none of them.
ALTER TABLE plugin_runs
    ADD COLUMN message_sha256 BYTEA CHECK (octet_length(message_sha256) = 32),
    ADD COLUMN root_message_id UUID, -- The message of a person that it all began with
    ADD COLUMN hops INTEGER CHECK (hops > 0); -- Of what the run sends: 1 for an answer to a person

-- Whether the plugin is given messages of bots.
ALTER TABLE plugins ADD COLUMN bot_messages BOOLEAN NOT NULL DEFAULT FALSE;

-- Old rows are deleted in batches, oldest first.
CREATE INDEX idx_plugin_runs_created ON plugin_runs(created_at);
CREATE INDEX idx_plugin_usage_hour ON plugin_usage(hour);
